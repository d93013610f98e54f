"""
Tables of bad input: what is sent, what is answered, what is stored.

Each row is a test of its own, named by what is wrong. After every row a good request has to succeed, and what it brings
has to be applied: no input may leave the next sender a broken site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from conversations.models import Message
from tests.conversations import notifications
from tests.conversations.stand import CLIENT, Door
from tests.webhooks.work import apply_all
from webhooks.models import Delivery, DeliveryState, Event

STORED, QUARANTINED, PROCESSED = DeliveryState.STORED, DeliveryState.QUARANTINED, DeliveryState.PROCESSED
GOOD_SEQUENCE = 2_000_000
# Its good requests go to a conversation that no row speaks of.
GOOD_CONVERSATION = "00000000-0000-4000-8000-00000000600d"

Named = TypeVar("Named")


def each(rows: Iterable[Named]) -> Any:
    """A test for each row of a table; no two rows have the same name."""
    listed = list(rows)
    names = [one.name for one in listed]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return pytest.mark.parametrize("row", listed, ids=names)


@dataclass(frozen=True, kw_only=True)
class Posted:
    """
    One row about one of the doors, asked in the process.

    headers: on top of a correct signature; None takes one away.
    became: the state of its delivery once workers have applied it; "" when nothing may be stored.
    outcomes: of its events, in order; None: not looked at. says: what stands in the error's sentence or its field.
    """

    name: str
    body: bytes
    answer: int
    became: str = ""
    outcomes: tuple[str, ...] | None = None
    says: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    prepare: Callable[[Door], None] | None = None


def post_to_liveperson(door: Door, row: Posted) -> Any:
    signed = {"x-liveperson-signature": notifications.sign(row.body, door.client_secret)}
    return _post(door.liveperson_path, row, signed)


def post_to_channel(door: Door, row: Posted) -> Any:
    # The standard signs text: what is not UTF-8 cannot be signed, and says so by its 401.
    signed = door.signed(row.body.decode("utf-8", "replace").encode("utf-8", "surrogatepass"))
    return _post(door.channel_path, row, signed)


def _post(path: str, row: Posted, signed: dict[str, str]) -> Any:
    headers = {name: value for name, value in {**signed, **row.headers}.items() if value is not None}
    type = headers.pop("content-type", "application/json")
    length = headers.pop("content-length", str(len(row.body)))
    # generic(): post() would encode the body anew by the charset that the type names.
    return CLIENT.generic("POST", path, row.body, content_type=type, headers=headers, CONTENT_LENGTH=length)


def check(door: Door, row: Posted, answer: Any) -> Delivery | None:
    """What the row says has come true, and the next good request goes through. Returns the row's delivery."""
    assert answer.status_code == row.answer, (row.name, answer.content[:300])
    if row.answer != 200:
        told = answer.json()
        assert {"code", "detail", "correlation_id"} <= set(told)
        assert told["detail"].endswith(".")
        assert row.says in told.get("field", "") + told["detail"]
    apply_all()
    delivery = Delivery.objects.order_by("-id").first()
    if not row.became:
        assert delivery is None
    else:
        assert delivery is not None
        assert (delivery.state, bytes(delivery.body.raw)) == (row.became, row.body)
        if row.outcomes is not None:
            assert outcomes_of(delivery) == row.outcomes
    assert_next_good_one_is_applied(door, path=answer.request["PATH_INFO"])
    return delivery


def outcomes_of(delivery: Delivery) -> tuple[str, ...]:
    return tuple(Event.objects.filter(delivery=delivery).order_by("index").values_list("outcome", flat=True))


def assert_next_good_one_is_applied(door: Door, *, path: str) -> None:
    """The door that was asked still works, and so does what is behind it."""
    from installations.models import State

    if door.installation.state == State.DISABLED:
        return
    if path == door.channel_path:
        answer = door.tell("typing.stopped", {"consumer": {"id": "nobody"}})
    else:
        known = Message.objects.filter(lp_dialog_id=GOOD_CONVERSATION).count()
        say = notifications.notification(
            notifications.said(GOOD_CONVERSATION, GOOD_SEQUENCE + known, "and now a good one")
        )
        signature = notifications.sign(say, door.client_secret, algorithm="sha256")
        answer = door.notify_raw(say, **{"x-liveperson-signature": signature})
    assert answer.status_code == 200
    apply_all()
    assert Delivery.objects.get(pk=answer.json()["delivery"]).state == PROCESSED
