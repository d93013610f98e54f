"""
Bad input, classes F and G: members of a channel's events, each with what it must not hold and what it may; and what
comes late, twice, before its time or from elsewhere.

The members of LivePerson's changes are in tests/fixtures/hostile.py (UNREADABLE, HARMLESS) and are posted by
tests/webhooks/test_applying_guard.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conversations.models import Conversation, Message
from tests.conversations.notifications import START_MS, changed, event, receipt, said, typed
from tests.conversations.stand import ADA, Door, forget_caches, known_conversation, make_door
from tests.fixtures import hostile
from tests.inputs import clocks
from tests.inputs.rows import (
    GOOD_CONVERSATION,
    PROCESSED,
    QUARANTINED,
    Posted,
    check,
    each,
    outcomes_of,
    post_to_channel,
)
from tests.inputs.undone import undone
from tests.webhooks.work import apply_all
from webhooks.models import Delivery, DeliveryBody

TALK = "talk-1"


@pytest.fixture
def site(door: Door) -> Door:
    known_conversation(door, lp_id=TALK, lp_consumer_id="lp-ada")
    known_conversation(door, lp_id=GOOD_CONVERSATION, consumer="good")
    return door


# --- F: members of a channel's events --------------------------------------------------------------------------------

_GOOD: dict[str, dict[str, Any]] = {
    "message.received": {"id": "m-1", "consumer": {"id": "ada", "name": "Ada"}, "text": "Hello",
                         "attachments": [{"url": "https://x.example/a.png", "mime": "image/png", "name": "a.png"}]},
    "message.status": {"id": "01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f", "status": "delivered"},
    "typing.started": {"consumer": {"id": ADA}},
    "conversation.closed": {"consumer": {"id": ADA}},
    "quick_reply.chosen": {"id": "m-2", "consumer": {"id": "ada"}, "choice": "1.0"},
}  # fmt: skip
_NO_IDS: dict[str, Any] = {
    "nothing": None, "empty": "", "a number": 5, "true": True, "a list": ["x"], "an object": {"id": "x"},
    "257 long": "x" * 257, "NUL": "a\x00b", "a line break": "a\r\nb", "half a pair": "a\ud800", "DEL": "a\x7f",
    "a C1 control": "a\x85",
}  # fmt: skip
_IDS: dict[str, Any] = {
    "256 long": "ü" * 256, "a path": "../../etc/passwd", "SQL": "' OR 1=1 --", "markup": "<img src=x>", "zero": "0",
    "a blank": " ", "turned around": "\u202ex", "an emoji": "👋🏽",
}  # fmt: skip
# Where the same reader reads them, a few are enough.
_A_FEW_NO_IDS = {name: _NO_IDS[name] for name in ("nothing", "a number", "257 long", "NUL")}
_A_FEW_IDS = {name: _IDS[name] for name in ("256 long", "SQL")}
_NO_TEXTS: dict[str, Any] = {"a number": 5, "true": True, "a list": ["x"], "an object": {"text": "x"}}
_NO_OBJECTS: dict[str, Any] = {"nothing": None, "a text": "ada", "a number": 5, "a list": [{"id": "ada"}], "true": True}
_NO_URLS: dict[str, Any] = {
    "nothing": None, "empty": "", "a number": 5, "a list": ["https://x.example"], "a script": "javascript:alert(1)",
    "a file": "file:///etc/passwd", "data": "data:image/png;base64,AAAA", "ftp": "ftp://x.example/a",
    "no scheme": "x/a",
    "no host": "https:///a", "two slashes": "//x.example/a", "half an IPv6": "https://[::1", "port zero":
    "https://x.example:0/", "port 99999": "https://x.example:99999/", "port of letters": "https://x.example:a/",
    "a blank": "https://x.example/a b", "a line break": "https://x.example/\r\nX: 1", "2049 long":
    "https://x.example/" + "a" * 2031, "NUL": "https://x.example/\x00", "half a pair": "https://x.example/\ud800",
}  # fmt: skip
_URLS: dict[str, Any] = {
    "2048 long": "https://x.example/" + "a" * 2030, "a private address": "http://169.254.169.254/latest/",
    "a loopback address": "http://127.0.0.1:1/a", "IPv6": "https://[2001:db8::1]/a", "a user": "https://u:p@x.example/",
    "a query": "https://x.example/a?b=c&d=e#f", "capitals": "HTTPS://X.EXAMPLE/A", "an umlaut": "https://bücher.example/",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """Where it stands, by the name that the answer gives it; values that it must not and that it may hold."""

    kind: str
    at: str
    bad: dict[str, Any]
    good: dict[str, Any]


MEMBERS = [
    Member("message.received", "data.id", _NO_IDS, _IDS),
    Member("message.received", "data.consumer", _NO_OBJECTS, {}),
    Member("message.received", "data.consumer.id", _NO_IDS, _IDS),
    Member("message.received", "data.consumer.name", {**_NO_TEXTS, "257 long": "x" * 257},
           {"nothing": None, "empty": "", "256 long": "n" * 256, "NUL": "a\x00b", "a line break": "a\nb",
            "half a pair": "\ud800", "markup": "<script>alert(1)</script>"}),
    Member("message.received", "data.consumer.profile", {k: v for k, v in _NO_OBJECTS.items() if k != "nothing"},
           {"nothing": None, "empty": {}, "odd": {"": None, "\x00": ["\ud800"], "x": 10**30, "__proto__": {"a": 1}},
            "many": {f"k{n}": n for n in range(5_000)}, "ctype twice the length": {"ctype": "x" * 5_000}}),
    Member("message.received", "data.text", _NO_TEXTS, {"nothing, but a file": None, "empty, but a file": "",
                                                        "blank": " \n", "NUL": "\x00", "long": "x" * 100_000}),
    Member("message.received", "data.attachments", {"a text": "a.png", "a number": 1, "an object": {},
                                                    "eleven": [{"url": "https://x.example/"}] * 11},
           {"nothing": None, "empty": [], "ten": [{"url": "https://x.example/"}] * 10}),
    Member("message.received", "data.attachments[0]", _NO_OBJECTS, {}),
    Member("message.received", "data.attachments[0].url", _NO_URLS, _URLS),
    Member("message.received", "data.attachments[0].name", {**_NO_TEXTS, "257 long": "x" * 257},
           {"nothing": None, "a path": "../../../etc/passwd", "a line break": "a\r\nb.png", "NUL": "a\x00.png"}),
    Member("message.received", "data.attachments[0].mime", {**_NO_TEXTS, "257 long": "x" * 257},
           {"nothing": None, "unknown": "a/b", "markup": "text/html; x=<script>"}),
    Member("message.status", "data.id", _A_FEW_NO_IDS, _A_FEW_IDS),
    Member("message.status", "data.status", {"nothing": None, "unknown": "printed", "capitals": "DELIVERED", "a list":
                                             ["delivered"], "an object": {}, "a number": 1}, {"failed": "failed"}),
    Member("message.status", "data.reason", _NO_TEXTS, {"nothing": None, "long": "x" * 10_000, "NUL": "\x00"}),
    Member("typing.started", "data.consumer.id", _A_FEW_NO_IDS, _A_FEW_IDS),
    Member("conversation.closed", "data.consumer.id", _A_FEW_NO_IDS, _A_FEW_IDS),
    Member("quick_reply.chosen", "data.choice", _A_FEW_NO_IDS, {**_A_FEW_IDS, "of nobody": f"{hostile.DIALOG}.0"}),
    Member("message.received", "type", {"nothing": None, "empty": "", "a number": 5, "a list": ["message.received"],
                                        "65 long": "t" * 65}, {"unknown": "message.deleted", "64 long": "t" * 64}),
    Member("message.received", "data", _NO_OBJECTS, {}),
    Member("message.received", "timestamp", {}, {
        "nothing": None, "a number": 1763719200, "yesterday": "yesterday", "no such day": "2026-02-30T00:00:00Z",
        "the year 0": "0000-01-01T00:00:00Z", "the first moment": "0001-01-01T00:00:00+14:00",
        "the last moment": "9999-12-31T23:59:59-14:00", "of a leap second": "2026-12-31T23:59:60Z", "long": "2" * 5_000,
        "a list": [], "without a zone": "2026-11-21T10:00:00", "a zone of 99 hours": "2026-11-21T10:00:00+99:99"}),
]  # fmt: skip


def _with(kind: str, at: str, value: Any) -> bytes:
    envelope: dict[str, Any] = {
        "type": kind,
        "timestamp": "2026-11-21T10:00:00Z",
        "data": json.loads(json.dumps(_GOOD[kind])),
    }
    *way, last = [int(part) if part.isdigit() else part for part in at.replace("[", ".").replace("]", "").split(".")]
    place: Any = envelope
    for part in way:
        place = place[part]
    place[last] = value
    return json.dumps(envelope).encode()


def _rows_of(member: Member) -> list[Posted]:
    bad = {"answer": 400, "became": QUARANTINED, "says": member.at}
    good = {"answer": 200, "became": PROCESSED}
    return [
        Posted(name=name, body=_with(member.kind, member.at, value), **facts)
        for values, facts in ((member.bad, bad), (member.good, good))
        for name, value in values.items()
    ]


@pytest.mark.parametrize("member", MEMBERS, ids=[f"{member.kind} {member.at}" for member in MEMBERS])
def test_members_of_a_channels_event(site: Door, member: Member) -> None:
    for row in _rows_of(member):
        with undone():
            delivery = check(site, row, post_to_channel(site, row))
            if row.answer == 200:
                assert delivery is not None
                assert set(outcomes_of(delivery)) <= {"APPLIED", "IGNORED"}, row.name


# --- G: sequences and time -------------------------------------------------------------------------------------------

Doing = Callable[[Door], Any]
AGO_MS = START_MS


@dataclass(frozen=True)
class Story:
    """What comes, one after the other; the outcomes of each event; what agents have said afterwards."""

    name: str
    comes: Sequence[Doing]
    outcomes: Sequence[str]
    said: Sequence[str]


def notify(*changes: dict[str, Any]) -> Doing:
    return lambda door: door.notify(*changes)


def state(**facts: Any) -> Doing:
    return lambda door: door.notify_state(changed(TALK, consumer="lp-ada", **facts))


def restart(door: Door) -> None:
    """A process that begins anew knows nothing but what is in the database."""
    forget_caches()


def prune(door: Door) -> None:
    DeliveryBody.objects.filter(delivery__state=PROCESSED).delete()


def typing_twice_at_once(door: Door) -> None:
    """Chat states are told apart by the five seconds of the clock in which they come."""
    for _ in range(2):
        door.notify(typed(TALK, "COMPOSING"))
    Delivery.objects.update(received_at=timezone.now())


def later(seconds: float) -> Doing:
    return lambda door: clocks.pass_time(seconds)


def work(door: Door) -> None:
    from webhooks import services

    services.work(deadline_s=5)


ONE, TWO = said(TALK, 0, "one"), said(TALK, 1, "two")
SURVEY = [
    {"dialogId": TALK, "dialogType": "MAIN", "channelType": "MESSAGING", "state": "CLOSE"},
    {"dialogId": "survey-1", "dialogType": "POST_SURVEY", "channelType": "MESSAGING", "state": "OPEN"},
]

STORIES = [
    Story("the same at once", [notify(ONE), notify(ONE)], ["APPLIED", "DUPLICATE"], ["one"]),
    Story("the same in one notification", [notify(ONE, ONE)], ["APPLIED", "DUPLICATE"], ["one"]),
    Story("the same after a restart", [notify(ONE), restart, notify(ONE)], ["APPLIED", "DUPLICATE"], ["one"]),
    Story("the same after its body was removed", [notify(ONE), prune, notify(ONE)], ["APPLIED", "DUPLICATE"], ["one"]),
    Story("the same with its members in another order",
          [notify(ONE), notify(dict(reversed(ONE.items())))], ["APPLIED", "DUPLICATE"], ["one"]),
    Story("other words under a known number", [notify(ONE), notify(said(TALK, 0, "other"))], ["APPLIED", "CONFLICT"],
          ["one"]),
    Story("other words, then the same again", [notify(ONE), notify(said(TALK, 0, "other")), notify(ONE)],
          ["APPLIED", "CONFLICT", "DUPLICATE"], ["one"]),
    Story("other words in one notification", [notify(ONE, said(TALK, 0, "other"))], ["APPLIED", "CONFLICT"], ["one"]),
    Story("a message and a receipt under one number", [notify(ONE, receipt(TALK, 0, "READ", 0))],
          ["APPLIED", "APPLIED"], ["one"]),
    Story("two in order", [notify(ONE), notify(TWO)], ["APPLIED", "APPLIED"], ["one", "two"]),
    Story("two in one notification", [notify(ONE, TWO)], ["APPLIED", "APPLIED"], ["one", "two"]),
    Story("after the close", [state(state="CLOSE", stage="CLOSE", at=5), notify(ONE)], ["APPLIED", "APPLIED"], ["one"]),
    Story("an older state after a newer one", [state(state="CLOSE", stage="CLOSE", at=5), state(at=4)],
          ["APPLIED", "STALE"], []),
    Story("the same state twice", [state(at=4), state(at=4)], ["APPLIED", "DUPLICATE"], []),
    Story("closed and open in one moment", [state(state="CLOSE", stage="CLOSE", at=5), state(at=5)],
          ["APPLIED", "STALE"], []),
    Story("a survey beside the main dialog", [state(state="CLOSE", stage="OPEN", dialogs=SURVEY, at=3), notify(ONE),
          notify(said(TALK, 0, "How was it?", dialog="survey-1")), notify(said(TALK, 1, "Well?", dialog="survey-1"))],
          ["APPLIED"] * 4, ["one", "How was it?", "Well?"]),
    Story("what the consumer said elsewhere", [notify(said(TALK, 0, "typed there", role="CONSUMER", who="lp-ada"))],
          ["ECHO"], []),
    Story("a receipt for what nobody said", [notify(receipt(TALK, 0, "READ", 7, 8, 2**31 - 1))], ["APPLIED"], []),
    Story("typing twice within a second", [typing_twice_at_once], ["APPLIED", "DUPLICATE"], []),
    Story("five days old", [notify(ONE | {"serverTimestamp": AGO_MS - 5 * 86_400_000})], ["STALE"], []),
    Story("400 days old", [notify(ONE | {"serverTimestamp": AGO_MS - 400 * 86_400_000})], ["STALE"], []),
    Story("ten minutes ahead", [notify(ONE | {"serverTimestamp": AGO_MS + 1_200_000})], ["APPLIED"], ["one"]),
    Story("ten years ahead", [notify(ONE | {"serverTimestamp": AGO_MS + 315_360_000_000})], ["APPLIED"], ["one"]),
    Story("without a time", [notify({k: v for k, v in ONE.items() if k != "serverTimestamp"})], ["APPLIED"], ["one"]),
    Story("of a conversation that nobody knows", [notify(said("unknown", 0, "x")), work, later(62), work], ["FOREIGN"],
          []),
    Story("of a conversation that is known soon after", [notify(said("soon", 0, "x")), work,
          lambda door: known_conversation(door, consumer="soon", lp_id="soon"), work], ["APPLIED"], ["x"]),
    Story("a state of somebody else's consumer",
          [lambda door: door.notify_state(changed("c-9", consumer="nobody")), later(62), work], ["FOREIGN"], []),
    Story("of another brand's conversation", [lambda door: known_conversation(
        make_door(brand="other", account="87654321"), lp_id="theirs"), notify(said("theirs", 0, "x")), work],
        ["WAITING"], []),
    Story("a new kind of event", [notify(event(TALK, 0, {"type": "HologramEvent", "beam": 1})), notify(TWO)],
          ["UNKNOWN_TYPE", "APPLIED"], ["two"]),
    Story("a private note", [notify(ONE | {"messageAudience": "AGENTS_AND_MANAGERS"})], ["APPLIED"], []),
    Story("an audience that nobody knows", [notify(ONE | {"messageAudience": "EVERYBODY"})], ["APPLIED"], []),
]  # fmt: skip


@each(STORIES)
def test_what_comes_late_twice_or_from_elsewhere(site: Door, row: Story) -> None:
    for comes in row.comes:
        answer = comes(site)
        assert getattr(answer, "status_code", 200) == 200
        apply_all()

    deliveries = Delivery.objects.order_by("id")
    assert {one.state for one in deliveries} == {PROCESSED}
    assert [outcome for one in deliveries for outcome in outcomes_of(one)] == list(row.outcomes)
    heard = Message.objects.filter(direction="TO_CHANNEL", dispatches__kind="TEXT").order_by("id").distinct()
    assert [one.content.text for one in heard] == list(row.said)


def test_a_moment_beyond_every_calendar_is_no_error(site: Door) -> None:
    """Each odd time in each place where a time may stand; what they become: tests/webhooks/test_parsers.py."""
    odd = [value for value in hostile._TIMES.values() if value is not ...]
    for number, value in enumerate([*odd, 253_402_300_800_000, -62_135_596_800_001, 9_999_999_999_999]):
        assert site.notify(said(TALK, number, "x", serverTimestamp=value)).status_code == 200
        facts = {"startTs": value, "endTs": value, "metaDataLastUpdateTs": value}
        assert site.notify_state(changed(TALK, consumer="lp-ada", **facts)).status_code == 200
    apply_all()

    assert {one.state for one in Delivery.objects.all()} == {PROCESSED}
    assert Conversation.objects.get(lp_conversation_id=TALK).opened_at <= timezone.now() + timedelta(days=1)
