"""The promises about what is sent: proved, in its order, one at a time, never forgotten."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant

INVARIANTS = [
    Invariant(
        name="sent_is_proved",
        promise="What is called sent was accepted, or something else that is named shows that it arrived.",
        sql="""
            SELECT dispatch.id, dispatch.resolution FROM conversations_dispatch dispatch
            WHERE dispatch.state = 'SENT' AND dispatch.resolution IN ('', 'answer')
              AND NOT EXISTS (SELECT 1 FROM conversations_attempt attempt
                              WHERE attempt.dispatch_id = dispatch.id AND attempt.outcome = 'ACCEPTED'
                                AND attempt.step IN ('OPEN', 'PUBLISH', 'SEND'))
        """,
    ),
    Invariant(
        name="nothing_overtakes",
        promise=(
            "Within a lane nothing is sent before what stands before it. What a person sent again stands at its old "
            "place and counts from then; in a lane that a restore held, evidence comes in any order."
        ),
        sql="""
            SELECT overtaken.lane_id, overtaken.id, overtaken.state, later.id AS sent_id
            FROM conversations_dispatch overtaken
            JOIN conversations_dispatch later ON later.lane_id = overtaken.lane_id
             AND later.position > overtaken.position AND later.state = 'SENT'
            WHERE overtaken.state IN ('QUEUED', 'SENDING', 'UNKNOWN')
              AND later.finished_at > overtaken.created_at
              AND NOT EXISTS (SELECT 1 FROM audit_auditentry act
                              WHERE act.action = 'dispatch.resent' AND act.subject_type = 'dispatch'
                                AND act.subject_id = overtaken.id::text AND act.at > later.finished_at)
              AND NOT EXISTS (SELECT 1 FROM conversations_lane lane
                              WHERE lane.id = overtaken.lane_id AND lane.held_at IS NOT NULL)
              AND NOT EXISTS (SELECT 1 FROM audit_auditentry act
                              WHERE act.action = 'lane.released' AND act.subject_type = 'lane'
                                AND act.subject_id = overtaken.lane_id::text AND act.at >= later.finished_at)
        """,
    ),
    Invariant(
        name="held_lane_sends_nothing",
        promise="Nothing leaves a lane that a restore holds before evidence or a person has released it.",
        sql="""
            SELECT lane.id, attempt.id AS attempt_id FROM conversations_lane lane
            JOIN conversations_dispatch dispatch ON dispatch.lane_id = lane.id
            JOIN conversations_attempt attempt ON attempt.dispatch_id = dispatch.id
            WHERE lane.held_at IS NOT NULL AND attempt.started_at > lane.held_at
        """,
    ),
    Invariant(
        name="one_attempt_under_way",
        promise="One send is in flight per lane.",
        sql="""
            SELECT dispatch.lane_id, count(*) FROM conversations_attempt attempt
            JOIN conversations_dispatch dispatch ON dispatch.id = attempt.dispatch_id
            WHERE attempt.finished_at IS NULL GROUP BY dispatch.lane_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="attempt_under_way_is_sending",
        promise="A send that is under way is seen as such; one that ended has an end.",
        sql="""
            SELECT attempt.id, dispatch.id AS dispatch_id, dispatch.state FROM conversations_attempt attempt
            JOIN conversations_dispatch dispatch ON dispatch.id = attempt.dispatch_id
            WHERE attempt.finished_at IS NULL AND dispatch.state IN ('QUEUED', 'UNKNOWN', 'PARKED')
        """,
    ),
    Invariant(
        name="sending_is_leased",
        promise="What a dead worker was sending is taken over: nothing is sending 60 s after its lease has ended.",
        sql="""
            SELECT dispatch.id, dispatch.lane_id, lane.leased_until FROM conversations_dispatch dispatch
            JOIN conversations_lane lane ON lane.id = dispatch.lane_id
            WHERE dispatch.state = 'SENDING'
              AND (lane.leased_until IS NULL OR lane.leased_until < now() - interval '60 seconds')
        """,
    ),
    Invariant(
        name="waiting_is_looked_at",
        promise="Nothing is forgotten: a lane in which something waits is due, or leased, or says what blocks it.",
        sql="""
            SELECT lane.id, lane.direction FROM conversations_lane lane
            WHERE lane.due_at IS NULL AND lane.blocked_by = ''
              AND (lane.leased_until IS NULL OR lane.leased_until < now() - interval '60 seconds')
              AND EXISTS (SELECT 1 FROM conversations_dispatch dispatch
                          WHERE dispatch.lane_id = lane.id AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN'))
        """,
    ),
    Invariant(
        name="sequence_given_once",
        promise="Two sends are two messages at LivePerson: no two share a sequence of a dialog.",
        sql="""
            SELECT conversation_id, lp_dialog_id, lp_sequence, count(*) FROM conversations_dispatch
            WHERE state = 'SENT' AND lp_sequence IS NOT NULL
            GROUP BY conversation_id, lp_dialog_id, lp_sequence HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="ended_has_an_end",
        promise="What has ended says when.",
        sql="""
            SELECT id, state FROM conversations_dispatch
            WHERE state IN ('SENT', 'FAILED', 'DEAD', 'DROPPED') AND finished_at IS NULL
        """,
    ),
    Invariant(
        name="acts_of_people_are_in_the_trail",
        promise="Every end of a dispatch that a person caused is in the audit trail.",
        sql="""
            SELECT dispatch.id, dispatch.state FROM conversations_dispatch dispatch
            WHERE dispatch.resolution = 'person'
              AND NOT EXISTS (SELECT 1 FROM audit_auditentry act
                              WHERE act.subject_type = 'dispatch' AND act.subject_id = dispatch.id::text
                                AND act.action IN ('dispatch.dropped', 'dispatch.resolved_as_sent'))
        """,
    ),
    Invariant(
        name="paused_begins_nothing",
        promise="While something is paused nothing is begun for it: no attempt began 5 s after its pause did.",
        sql="""
            SELECT attempt.id, pause.id AS pause_id, attempt.started_at FROM installations_pause pause
            JOIN conversations_attempt attempt
              ON attempt.started_at > pause.began_at + interval '5 seconds'
             AND attempt.brand_id = COALESCE(pause.brand_id, attempt.brand_id)
            JOIN conversations_dispatch dispatch ON dispatch.id = attempt.dispatch_id
            JOIN installations_channel channel ON channel.id = dispatch.channel_id
            WHERE pause.ended_at IS NULL AND pause.direction IN ('BOTH', dispatch.direction)
              AND CASE pause.scope WHEN 'CONSUMER' THEN dispatch.consumer_id = pause.target_id
                       WHEN 'CHANNEL' THEN channel.id = pause.target_id
                       WHEN 'INSTALLATION' THEN channel.installation_id = pause.target_id
                                            AND (channel.moved_at IS NULL OR channel.moved_at < attempt.started_at)
                       ELSE true END
        """,
    ),
    Invariant(
        name="sleeping_is_paused",
        promise="A lane sleeps no longer than its pause: something that covers it is in force, or it is being woken.",
        sql="""
            SELECT lane.id, lane.blocked_by FROM conversations_lane lane
            WHERE lane.blocked_by LIKE '%_paused' AND lane.held_at IS NULL AND lane.due_at IS NULL
              AND NOT EXISTS (
                SELECT 1 FROM installations_pause pause WHERE (pause.ended_at IS NULL OR pause.woken_at IS NULL)
                   AND (pause.scope = 'PLATFORM' OR pause.target_id IN (lane.brand_id, lane.consumer_id)
                        OR pause.target_id IN (SELECT id FROM installations_channel
                                               WHERE account_id = lane.account_id)
                        OR pause.target_id IN (SELECT id FROM installations_appinstallation
                                               WHERE account_id = lane.account_id)))
              AND NOT EXISTS (SELECT 1 FROM installations_channel channel
                              WHERE channel.account_id = lane.account_id AND channel.state <> 'ACTIVE')
              AND NOT EXISTS (SELECT 1 FROM installations_appinstallation installation
                              WHERE installation.account_id = lane.account_id AND installation.state <> 'ACTIVE')
        """,
    ),
    Invariant(
        name="paused_says_so",
        promise="An app installation or a channel that is paused in both directions says so, and by whom.",
        sql="""
            SELECT row.id, row.scope, row.state FROM (
                SELECT id, state, 'INSTALLATION' AS scope FROM installations_appinstallation
                UNION ALL SELECT id, state, 'CHANNEL' FROM installations_channel) row
            WHERE (row.state = 'PAUSED') <> EXISTS (
                SELECT 1 FROM installations_pause pause
                WHERE pause.scope = row.scope AND pause.target_id = row.id AND pause.direction = 'BOTH'
                  AND pause.ended_at IS NULL)
        """,
    ),
]
