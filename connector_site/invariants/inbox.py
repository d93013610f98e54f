"""The promises about what arrives."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant

INVARIANTS = [
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
]
