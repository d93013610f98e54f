"""
The promises that can be checked in the database: each is a query that must return no row.

Run by `manage.py check_invariants`, by every crash test, and in production. `promise` says in a sentence what a
returned row breaks. A row names itself by ids only: never by what somebody said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models

from access.rules import brand_path_of
from conversations.services.retention import TO_BE_SENT

MOST_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """sql: returns the rows that break the promise; none while it holds."""

    name: str
    promise: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class Breach:
    """rows: the first of those that break it."""

    invariant: Invariant
    rows: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {"name": self.invariant.name, "promise": self.invariant.promise, "rows": self.rows}


def check(invariants: Sequence[Invariant]) -> list[Breach]:
    """Run the queries; returns what is broken. Each sees one state of the database, while everything runs."""
    breaches = []
    with connection.cursor() as cursor:
        for invariant in invariants:
            cursor.execute(f"SELECT * FROM ({invariant.sql}) broken LIMIT {MOST_ROWS}")  # noqa: S608 -- our own text
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
            if rows:
                breaches.append(Breach(invariant=invariant, rows=rows))
    return breaches


def all_invariants() -> list[Invariant]:
    """Every promise that can be asked of the database."""
    return [*_WRITTEN, _one_brand_along_every_link()]


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


_OF_MESSAGE = f"""
    JOIN conversations_message message ON message.id = expired.message_id
    JOIN conversations_consumer consumer ON consumer.id = message.consumer_id
    JOIN access_brand brand ON brand.id = message.brand_id
    WHERE expired.expires_on < current_date - 2 AND brand.held_at IS NULL AND consumer.held_at IS NULL
      AND NOT {TO_BE_SENT}
"""

# --- inbox -----------------------------------------------------------------------------------------------------------

_WRITTEN = [
    Invariant(
        name="identity_claimed_once",
        promise="An event takes effect once: its identity has one owner.",
        sql="""
            SELECT source_id, digest, count(*) FROM webhooks_seen GROUP BY source_id, digest HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="identity_has_its_delivery",
        promise="Whatever has been seen was stored: an identity never blocks an event that is not there.",
        sql="""
            SELECT seen.id, seen.source_id, seen.delivery_id FROM webhooks_seen seen
            LEFT JOIN webhooks_delivery delivery ON delivery.id = seen.delivery_id
            WHERE delivery.id IS NULL
        """,
    ),
    Invariant(
        name="stored_delivery_has_its_body",
        promise="A delivery that was answered 200 can be applied.",
        sql="""
            SELECT delivery.id, delivery.received_at FROM webhooks_delivery delivery
            LEFT JOIN webhooks_deliverybody body ON body.delivery_id = delivery.id
            WHERE delivery.state = 'STORED' AND body.delivery_id IS NULL
        """,
    ),
    Invariant(
        name="processed_delivery_has_events",
        promise="All in a delivery has an outcome: it has events, or it held none, or it is quarantined or dead.",
        sql="""
            SELECT delivery.id, delivery.received_at FROM webhooks_delivery delivery
            WHERE delivery.state = 'PROCESSED' AND delivery.detail = ''
              AND NOT EXISTS (SELECT 1 FROM webhooks_event event WHERE event.delivery_id = delivery.id)
        """,
    ),
    Invariant(
        name="event_of_a_delivery_applied",
        promise="A delivery and its events take effect together.",
        sql="""
            SELECT event.id, delivery.id AS delivery_id, delivery.state FROM webhooks_event event
            JOIN webhooks_delivery delivery ON delivery.id = event.delivery_id
            WHERE delivery.state IN ('STORED', 'QUARANTINED')
        """,
    ),
    # --- outbox ------------------------------------------------------------------------------------------------------
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
    # --- messages and conversations ----------------------------------------------------------------------------------
    Invariant(
        name="consumer_message_is_queued",
        promise="What a consumer wrote is sent, or shown as not sent: each message has a dispatch.",
        sql="""
            SELECT message.id, message.status FROM conversations_message message
            WHERE message.direction = 'TO_LIVEPERSON'
              AND NOT EXISTS (SELECT 1 FROM conversations_dispatch dispatch WHERE dispatch.message_id = message.id)
        """,
    ),
    Invariant(
        name="queued_message_is_under_way",
        promise="A message that is called queued waits for something: for its turn, or for a person.",
        sql="""
            SELECT message.id, message.direction FROM conversations_message message
            WHERE message.status = 'QUEUED'
              AND NOT EXISTS (SELECT 1 FROM conversations_dispatch dispatch
                              WHERE dispatch.message_id = message.id
                                AND dispatch.state NOT IN ('SENT', 'DROPPED'))
        """,
    ),
    Invariant(
        name="private_note_stays_private",
        promise="A private note between agents never goes to the consumer.",
        sql="""
            SELECT message.id, dispatch.id AS dispatch_id FROM conversations_message message
            JOIN conversations_dispatch dispatch ON dispatch.message_id = message.id
            JOIN conversations_lane lane ON lane.id = dispatch.lane_id
            WHERE message.audience <> 'ALL' AND lane.direction = 'TO_CHANNEL'
        """,
    ),
    Invariant(
        name="one_open_conversation",
        promise="A consumer has at most one conversation that is not closed.",
        sql="""
            SELECT consumer_id, count(*) FROM conversations_conversation
            WHERE state <> 'CLOSED' GROUP BY consumer_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="one_consumer_along_a_dispatch",
        promise="A dispatch, its lane, its message and its conversation are of one consumer.",
        sql="""
            SELECT dispatch.id, lane.consumer_id FROM conversations_dispatch dispatch
            JOIN conversations_lane lane ON lane.id = dispatch.lane_id
            LEFT JOIN conversations_message message ON message.id = dispatch.message_id
            LEFT JOIN conversations_conversation conversation ON conversation.id = dispatch.conversation_id
            WHERE message.consumer_id <> lane.consumer_id OR conversation.consumer_id <> lane.consumer_id
        """,
    ),
    Invariant(
        name="one_account_along_a_conversation",
        promise="A conversation, its consumer, its channel and its app installation are of one LivePerson account.",
        sql="""
            SELECT conversation.id FROM conversations_conversation conversation
            JOIN conversations_consumer consumer ON consumer.id = conversation.consumer_id
            JOIN installations_channel channel ON channel.id = conversation.channel_id
            JOIN installations_appinstallation installation ON installation.id = conversation.installation_id
            WHERE conversation.account_id <> ALL
                  (ARRAY[consumer.account_id, channel.account_id, installation.account_id])
               OR consumer.account_id <> channel.account_id OR consumer.account_id <> installation.account_id
        """,
    ),
    # --- what is kept how long ---------------------------------------------------------------------------------------
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
    # --- secrets -----------------------------------------------------------------------------------------------------
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
]


# --- brands ----------------------------------------------------------------------------------------------------------

_SOURCE_OF_SEEN = """
    SELECT 'webhooks_seen.source_id' AS link, child.id::text AS id, child.brand_id AS brand, parent.brand_id AS other
    FROM webhooks_seen child JOIN webhooks_inbox parent ON parent.id = child.source_id
    WHERE child.brand_id <> parent.brand_id
"""


def _one_brand_along_every_link() -> Invariant:
    queries = [sql for model in apps.get_models() for sql in _links_of(model)]
    return Invariant(
        name="one_brand_along_every_link",
        promise="A row and everything that it points to are of one brand.",
        sql=" UNION ALL ".join([*queries, _SOURCE_OF_SEEN]),
    )


def _links_of(model: type[models.Model]) -> Iterator[str]:
    """A query for each foreign key of a model that leads from one row with a brand to another."""
    if not _has_brand(model):
        return
    child_joins, child_brand = _way_to_brand(model, "child")
    for field in model._meta.get_fields():
        if not isinstance(field, models.ForeignKey) or not _has_brand(field.related_model):
            continue
        parent_joins, parent_brand = _way_to_brand(field.related_model, "parent")
        key = f"parent.{field.target_field.column}"
        yield (
            f"SELECT '{model._meta.db_table}.{field.column}' AS link, child.{model._meta.pk.column}::text AS id,"  # noqa: S608
            f" {child_brand} AS brand, {parent_brand} AS other"
            f" FROM {model._meta.db_table} child {child_joins}"
            f" JOIN {field.related_model._meta.db_table} parent ON {key} = child.{field.column} {parent_joins}"
            f" WHERE {child_brand} <> {parent_brand}"
        )


def _has_brand(model: Any) -> bool:
    return hasattr(model, "brand_path") and brand_path_of(model) != "pk"


def _way_to_brand(model: type[models.Model], alias: str) -> tuple[str, str]:
    """The joins from a model to its brand, and the column that holds it."""
    joins = ""
    *steps, last = brand_path_of(model).split("__")
    for number, step in enumerate(steps):
        field: Any = model._meta.get_field(step)
        model, owner, alias = field.related_model, alias, f"{alias}_{number}"
        joins += f" JOIN {model._meta.db_table} {alias} ON {alias}.{field.target_field.column} = {owner}.{field.column}"
    column: Any = model._meta.get_field(last)
    return joins, f"{alias}.{column.column}"


def as_json(breaches: Sequence[Breach], *, checked: int) -> str:
    """The report for people and programs."""
    told = {"checked": checked, "broken": [breach.as_json() for breach in breaches]}
    return json.dumps(told, indent=2)


__all__ = ["Breach", "Invariant", "all_invariants", "as_json", "check"]
