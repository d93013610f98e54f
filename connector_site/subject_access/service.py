"""A subject-access export: recorded before its first byte, then told in constant memory."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterable, Iterator

from django.db import transaction
from django.utils import timezone

from audit import api as audit
from connector_site.exports.slots import Slot
from connector_site.subject_access import rows
from conversations import lanes
from conversations.models import Consumer
from core.actor import Actor
from core.errors import ConfigurationError

FORMAT = "connector-site/subject-access/1"
# Told with the export, so that nobody takes it for more than it is.
LEFT_OUT = [
    "Digests, and tokens of this site for the consumer at LivePerson: keys, which tell nothing about a person.",
    "Bodies of notifications that say no more than that a conversation or dialog has changed: what they said stands "
    "with the conversations.",
    "The names of people who work here.",
    "What LivePerson and the channel have stored themselves.",
]


def export(*, consumer_id: uuid.UUID, actor: Actor, reason: str) -> Generator[bytes]:
    """
    Everything held of a consumer, as pieces of one JSON object. It is in the trail before the first of them.

    Raises ConfigurationError where the consumer was erased, and exports.slots.TooManyExports.
    """
    slot = Slot()
    with transaction.atomic():
        # Whoever erases the person at this moment comes before: the reason, which may name them, would stay.
        lanes.lock_consumer(consumer_id)
        consumer = Consumer.objects.select_related("account", "channel").get(pk=consumer_id)
        if consumer.erased_at is not None:
            raise ConfigurationError("This consumer has been erased: nothing is left to export.")
        audit.record("consumer.exported", actor=actor, subject=consumer.nameless, reason=reason)
    return _pieces(consumer, slot)


def _pieces(consumer: Consumer, slot: Slot) -> Generator[bytes]:
    """The slot is given back with the last of them, or when nobody wants more."""
    made = {"format": FORMAT, "made_at": timezone.now(), "left_out": LEFT_OUT}
    yield (rows.as_json(made)[:-1] + f', "consumer": {rows.as_json(rows.facts_of(consumer))}').encode()
    yield from _list("conversations", rows.conversations_of(consumer))
    yield from _list("messages", rows.messages_of(consumer))
    yield from _list("other_sends", rows.other_sends_of(consumer))
    yield from _list("deliveries", rows.deliveries_of(consumer))
    yield from _list("trail", rows.trail_of(consumer))
    yield from _files(consumer)
    yield b"\n}\n"
    slot.release()


def _list(name: str, told: Iterable[str]) -> Iterator[bytes]:
    yield f',\n"{name}": ['.encode()
    for number, one in enumerate(told):
        yield f"{',' if number else ''}\n{one}".encode()
    yield b"]"


def _files(consumer: Consumer) -> Iterator[bytes]:
    yield b',\n"files": {'
    for number, file in enumerate(rows.files_of(consumer)):
        yield f'{"," if number else ""}\n"{file.pk}": "'.encode()
        for piece in rows.bytes_of(file):
            yield piece.encode()
        yield b'"'
    yield b"}"


__all__ = ["FORMAT", "LEFT_OUT", "export"]
