"""The promises about what is kept: how long, of whom, and how secrets are."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant
from conversations.services.retention import TO_BE_SENT

_OF_MESSAGE = f"""
    JOIN conversations_message message ON message.id = expired.message_id
    JOIN conversations_consumer consumer ON consumer.id = message.consumer_id
    JOIN access_brand brand ON brand.id = message.brand_id
    WHERE expired.expires_on < current_date - 2 AND brand.held_at IS NULL AND consumer.held_at IS NULL
      AND NOT {TO_BE_SENT}
"""

INVARIANTS = [
    Invariant(
        name="content_is_not_kept_past_its_day",
        promise=(
            "Words, files and bodies live as long as the brand's retention says: two days later they are gone, unless "
            "a legal hold keeps them, or they are still to be sent or applied."
        ),
        sql=f"""
            SELECT 'conversations_messagecontent' AS in_table, expired.message_id AS id, expired.expires_on
            FROM conversations_messagecontent expired {_OF_MESSAGE}
            UNION ALL SELECT 'conversations_mediafile', expired.id, expired.expires_on
            FROM conversations_mediafile expired {_OF_MESSAGE}
            UNION ALL SELECT 'webhooks_deliverybody', expired.delivery_id, expired.expires_on
            FROM webhooks_deliverybody expired JOIN webhooks_delivery delivery ON delivery.id = expired.delivery_id
            JOIN access_brand brand ON brand.id = delivery.brand_id
            WHERE expired.expires_on < current_date - 2 AND brand.held_at IS NULL AND delivery.state <> 'STORED'
              AND NOT EXISTS (SELECT 1 FROM webhooks_event event
                              WHERE event.delivery_id = delivery.id AND event.outcome IN ('WAITING', 'HELD'))
              AND NOT EXISTS (SELECT 1 FROM conversations_consumer consumer
                              WHERE consumer.brand_id = delivery.brand_id AND consumer.held_at IS NOT NULL)
        """,  # noqa: S608 -- constants of ours
    ),
    Invariant(
        name="erased_is_empty",
        promise="Of an erased consumer only facts are left.",
        sql="""
            SELECT consumer.id FROM conversations_consumer consumer
            WHERE consumer.erased_at IS NOT NULL
              AND (consumer.name <> '' OR consumer.profile <> '{}' OR consumer.channel_consumer_id <> ''
                   OR consumer.lp_consumer_id <> '' OR consumer.ext_consumer_id <> 'ERASED:' || consumer.id
                   OR EXISTS (SELECT 1 FROM conversations_consumertoken token WHERE token.consumer_id = consumer.id)
                   OR NOT EXISTS (SELECT 1 FROM conversations_erasure erasure
                                  WHERE erasure.consumer_id = consumer.id AND erasure.ended_at IS NULL)
                      AND EXISTS (SELECT 1 FROM conversations_message message
                              LEFT JOIN conversations_messagecontent content ON content.message_id = message.id
                              LEFT JOIN conversations_mediafile file ON file.message_id = message.id
                              WHERE message.consumer_id = consumer.id
                                AND (content.message_id IS NOT NULL OR file.id IS NOT NULL))
                   OR EXISTS (SELECT 1 FROM conversations_lane lane
                              JOIN conversations_dispatch dispatch ON dispatch.lane_id = lane.id
                              WHERE lane.consumer_id = consumer.id
                                AND dispatch.state IN ('QUEUED', 'SENDING', 'UNKNOWN', 'PARKED')))
        """,
    ),
    Invariant(
        name="erasure_is_in_the_trail",
        promise="That somebody was erased stays known: by whom, when and why.",
        sql="""
            SELECT consumer.id FROM conversations_consumer consumer
            WHERE consumer.erased_at IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM audit_auditentry act
                              WHERE act.action = 'consumer.erased' AND act.subject_type = 'consumer'
                                AND act.subject_id = consumer.id::text)
        """,
    ),
    Invariant(
        name="erasure_comes_to_its_end",
        promise="An erasure has found its last trace within a day, unless a legal hold came in between.",
        sql="""
            SELECT erasure.consumer_id, erasure.begun_at FROM conversations_erasure erasure
            JOIN conversations_consumer consumer ON consumer.id = erasure.consumer_id
            JOIN access_brand brand ON brand.id = consumer.brand_id
            WHERE erasure.ended_at IS NULL AND erasure.begun_at < now() - interval '1 day' AND brand.held_at IS NULL
        """,
    ),
    Invariant(
        name="secrets_are_sealed",
        promise="Secrets are stored encrypted only.",
        sql="""
            SELECT 'installations_installationsecret' AS in_table, id::text FROM installations_installationsecret
            WHERE length(sealed) < 34 OR get_byte(sealed, 0) <> 1
            UNION ALL SELECT 'installations_channelsecret', id::text FROM installations_channelsecret
            WHERE length(sealed) < 34 OR get_byte(sealed, 0) <> 1
            UNION ALL SELECT 'installations_apptoken', installation_id::text FROM installations_apptoken
            WHERE length(sealed) < 34 OR get_byte(sealed, 0) <> 1
            UNION ALL SELECT 'conversations_consumertoken', id::text FROM conversations_consumertoken
            WHERE length(sealed) < 34 OR get_byte(sealed, 0) <> 1
            UNION ALL SELECT 'conversations_erasure', consumer_id::text FROM conversations_erasure
            WHERE length(sealed) < 34 OR get_byte(sealed, 0) <> 1
        """,
    ),
    Invariant(
        name="the_trail_is_guarded",
        promise=(
            "The database refuses to change or delete what stands in the audit trail: both of its triggers are there, "
            "and on."
        ),
        sql="""
            SELECT expected.name FROM (VALUES ('audit_entry_unchanged'), ('audit_entry_kept')) AS expected (name)
            WHERE NOT EXISTS (SELECT 1 FROM pg_trigger
                              WHERE tgrelid = 'audit_auditentry'::regclass AND tgname = expected.name
                                AND tgenabled IN ('O', 'A'))
        """,
    ),
]
