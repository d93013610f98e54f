"""
Real notifications and real channel events, changed in structure and in bytes, correctly signed, posted and applied.

Whatever they hold: an answer that the contract names, never an error of ours, every promise kept, what goes out still
readable, and the next good one applied. LONG=1 does it ten thousand times and more.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.models import Dialog, Message
from tests import fixtures
from tests.conversations import notifications
from tests.conversations.servers import Server
from tests.conversations.stand import CLIENT, forget_caches, known_conversation, make_door
from tests.fixtures.liveperson.outcomes import CLIENT_ID, CONSUMER, CONVERSATION, START_MS, SURVEY
from tests.inputs import budget, mutations
from tests.inputs.liveperson import LivePerson
from tests.inputs.promises import Promises
from tests.inputs.undone import undone
from webhooks import services
from webhooks.models import Delivery, DeliveryState, Event

Post = Callable[[], Any]

BEN = "+15550199"
LIMIT = 256 * 1024
GOOD_SEQUENCE = 1_000_000
# The recordings are of last year: what is days old would not be applied.
SHIFT_MS = int(time.time() * 1000) // 1000 * 1000 - START_MS
DAY_MS = 86_400_000


class Site:
    """A connector with an open conversation of which the recordings speak, and both other ends."""

    def __init__(self, liveperson: LivePerson, phone: Server) -> None:
        phone.forget()
        liveperson.forget(client_id=CLIENT_ID)
        self.phone = phone
        self.door = make_door(client_id=CLIENT_ID, domain_api=liveperson.server.url, channel_url=f"{phone.url}/agent")
        self.promises = Promises()
        self.answers: Counter[int] = Counter()
        self.ends: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        known = known_conversation(self.door, lp_id=CONVERSATION, lp_consumer_id=CONSUMER)
        Dialog.objects.create(conversation=known, lp_dialog_id=SURVEY, type="POST_SURVEY")
        offered = notifications.said(CONVERSATION, 900, "Which one?")
        offered["event"]["quickReplies"] = {
            "type": "quickReplies",
            "replies": [
                {"type": "button", "title": "Red", "click": {"actions": [{"type": "publishText", "text": "r"}]}}
            ],
        }
        assert self.door.notify(offered).status_code == 200
        self.door.says("Where is it?", id="m-0")
        services.work(deadline_s=10)
        (self.sent,) = [got.json["data"] for got in phone.got if got.json["type"] == "message.created"]

    def take(self, posts: Sequence[tuple[Post, tuple[int, ...]]]) -> None:
        """Post some bodies, one after the other; whatever they are, the site stays whole. Each with its answers."""
        with undone():
            heard = len(self.phone.got)
            for post, allowed in posts:
                before = Delivery.objects.count()
                answer = post()
                assert answer.status_code in allowed, answer.content
                stored = Delivery.objects.count() - before
                assert stored == (answer.status_code in (200, 400)) or answer.json().get("duplicate")
                self.answers[answer.status_code] += 1
            self._next_good_ones_are_applied()
            ends = Counter(Delivery.objects.values_list("state", flat=True))
            assert set(ends) <= {DeliveryState.PROCESSED, DeliveryState.QUARANTINED}
            self.ends += ends
            self.outcomes += Counter(Event.objects.values_list("outcome", flat=True))
            for got in self.phone.got[heard:]:
                assert isinstance(json.loads(got.body.decode("utf-8"))["data"], dict)
            assert self.promises.broken() == {}

    def _next_good_ones_are_applied(self) -> None:
        say = notifications.said(CONVERSATION, GOOD_SEQUENCE, "and now a good one")
        assert self.door.notify(say).status_code == 200
        self.door.says("and now a good one", id="good", consumer=BEN)
        services.work(deadline_s=10)
        assert Message.objects.filter(channel_message_id="good").exists()
        state = Delivery.objects.order_by("-id").values_list("state", flat=True)[:2]
        assert list(state) == [DeliveryState.PROCESSED] * 2


@pytest.fixture(scope="module")
def both_ends() -> Iterator[tuple[LivePerson, Server]]:
    liveperson, phone = LivePerson(), Server()
    yield liveperson, phone
    liveperson.server.stop()
    phone.close()


@pytest.fixture
def site(db: None, both_ends: tuple[LivePerson, Server]) -> Iterator[Site]:
    forget_caches()
    yield Site(*both_ends)
    forget_caches()


def redated(tree: Any) -> Any:
    """The same, as if it were recorded just now."""
    if isinstance(tree, dict):
        return {key: redated(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [redated(value) for value in tree]
    is_time = isinstance(tree, int) and START_MS - 30 * DAY_MS < tree < START_MS + 30 * DAY_MS
    return tree + SHIFT_MS if is_time else tree


def recordings(folder: str) -> list[Any]:
    return [redated(json.loads(fixtures.read(folder, name))) for name in fixtures.names_in(folder)]


NOTIFICATIONS = recordings("liveperson")
EVENTS = recordings("custom")
NOTIFICATIONS_IN_BYTES = [json.dumps(one, ensure_ascii=False).encode("utf-8", "surrogatepass") for one in NOTIFICATIONS]
EVENTS_IN_BYTES = [json.dumps(one, ensure_ascii=False).encode() for one in EVENTS]


def notified(site: Site, body: bytes) -> tuple[Post, tuple[int, ...]]:
    # What is too large is answered without being looked at; everything else is authentic and so is stored.
    headers = {"content-length": str(len(body))}
    return lambda: site.door.notify_raw(body, **headers), (413,) if len(body) > LIMIT else (200,)


def told(site: Site, body: bytes) -> tuple[Post, tuple[int, ...]]:
    body = body.replace(b"01939f2e-7c1a-7b3d-8e4f-5a6b7c8d9e0f", site.sent["id"].encode())
    body = body.replace(b"2-5d41402abc4b2a76", site.sent["quick_replies"][0]["id"].encode())
    try:
        body.decode()
    except UnicodeDecodeError:
        signed, allowed = site.door.signed(b"{}"), (401,)  # the standard signs text
    else:
        signed, allowed = site.door.signed(body), (413,) if len(body) > LIMIT else (200, 400)

    def post() -> Any:
        headers = {**signed, "content-length": str(len(body))}
        return CLIENT.generic("POST", site.door.channel_path, body, content_type="application/json", headers=headers)

    return post, allowed


@pytest.mark.parametrize(
    "name", ["trees of LivePerson", "bytes of LivePerson", "trees of a channel", "bytes of a channel"]
)
def test_whatever_is_changed_in_a_body_the_site_stays_whole(site: Site, name: str, record_property: Any) -> None:
    bodies, signed, (usual, long), expected = KINDS[name]

    # Several at once: they share the cost of what is asked afterwards, and meet each other.
    @budget.examples(usual, long=long)
    @given(some=st.lists(bodies, min_size=8, max_size=12))
    def check(some: list[bytes]) -> None:
        site.take([signed(site, body) for body in some])

    check()
    print(f"{sum(site.answers.values())} bodies: {site.answers} {site.ends} {site.outcomes}")
    record_property("bodies", sum(site.answers.values()))
    # The generator reaches what it is made for: not everything is refused at the door.
    assert {*map(str, site.answers), *site.outcomes} >= expected


KINDS: dict[str, Any] = {
    "trees of LivePerson": (
        mutations.trees(NOTIFICATIONS),
        notified,
        (36, 700),
        {"200", "APPLIED", "UNKNOWN_TYPE", "UNREADABLE", "STALE"},
    ),
    "bytes of LivePerson": (mutations.bytes_of(NOTIFICATIONS_IN_BYTES), notified, (15, 250), {"200"}),
    "trees of a channel": (mutations.trees(EVENTS), told, (22, 450), {"200", "400", "APPLIED", "IGNORED"}),
    "bytes of a channel": (mutations.bytes_of(EVENTS_IN_BYTES), told, (12, 200), {"200", "400", "401"}),
}


def test_every_recording_cut_at_every_place(site: Site) -> None:
    """Not generated: of three recordings each beginning is posted, in the parser's hands alone."""
    from core.errors import BodyUnusable
    from webhooks.parsers import parse_liveperson

    for body in sorted(NOTIFICATIONS_IN_BYTES, key=len)[-3:]:
        for end in range(len(body)):
            with pytest.raises(BodyUnusable):
                parse_liveperson(body[:end])
