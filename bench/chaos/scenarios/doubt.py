"""
Promise 4: a message reaches the other side once, or is shown as unknown, parked or possibly doubled.

A share of the calls to LivePerson and to the app is broken at every point a connection can break at, and the worker
that makes a call is killed at three of them, found by the connection that it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any

from bench.chaos import checks, proxy
from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.proxy import Faults, Proxy
from bench.chaos.report import Row, at_most
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "doubt"
SETTLED_WITHIN = timedelta(seconds=60)
# Mostly such that the request arrives and its answer does not: there lies the doubt.
_BREAKS = (
    proxy.BEFORE,
    proxy.INSIDE,
    proxy.LOSE_ANSWER,
    proxy.LOSE_ANSWER,
    proxy.LOSE_ANSWER,
    proxy.HALF_ANSWER,
    proxy.HALF_CLOSE,
)
_RATE = 0.2
# As many as that share of the messages makes; then the breaks of this side end. Were later tries of the same broken as
# well, and the probes of a breaker that opened over it, then how long this takes would be a matter of chance.
_OF_EACH_SIDE = 0.2
# So many good probes close a breaker.
_PROBES = 2
# Of a message each: how many of the others are broken in this way is a matter of chance.
_FOR_CERTAIN = (proxy.LOSE_ANSWER, proxy.LOSE_ANSWER, proxy.LOSE_ANSWER, proxy.INSIDE)
# How a send to LivePerson begins; its services are looked up and its tokens fetched on the same connections.
_SEND = b"/conversation/send"
# One kill every few seconds, and a site does nothing else than start its workers.
_APART_S = 10
_SPARE = [f"doubt-spare-{number}" for number in range(2 * _PROBES)]


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    consumers = [f"doubt-{number}" for number in range(max(20, size.doubtful // 20))]
    # Who is spoken to does not write: the sequences that we make up would hide the echoes of what is written.
    spoken_to = [f"{consumer} listens" for consumer in consumers]
    await brand.open_conversations(site, consumers + spoken_to + _SPARE)
    draw = chance(site.seed, "doubt")
    said = [
        brand.consumer_says(consumers[n % len(consumers)], f"doubt consumer {n}") for n in range(size.doubtful // 2)
    ]
    spoken = [brand.agent_says(spoken_to[n % len(consumers)], f"doubt agent {n}") for n in range(size.doubtful // 2)]
    most = int(size.doubtful // 2 * _OF_EACH_SIDE)
    brand.to_liveperson.faults = Faults(kinds=_BREAKS, rate=_RATE, times=most)
    brand.to_app.faults = Faults(kinds=_BREAKS, rate=_RATE, times=most)
    say(f"doubt: {size.doubtful} messages over broken connections, {size.kills_in_a_send} kills in a send")
    await site.sender.deliver_all(_in_turn(said, spoken), per_s=size.doubtful_per_s, within_s=300, chance=draw)
    with contextlib.suppress(TimeoutError):  # what is broken again and again is tried ever later
        await eventually(lambda: _all_tried(site, brand), "a first try of everything", within_s=120)
    brand.to_liveperson.heal()
    brand.to_app.heal()
    broken = sum(brand.to_liveperson.broken.values()) + sum(brand.to_app.broken.values())
    struck = await _say_until_mended(site, brand)
    struck += await _break_for_certain(site, brand, consumers)
    struck += await _kill_in_sends(site, brand, size, consumers, spoken_to)
    said += [item for item in struck if item.source == "channel"]
    spoken += [item for item in struck if item.source == "liveperson"]
    say(f"doubt: broken were {brand.to_liveperson.broken} and {brand.to_app.broken}; waiting until all is settled")
    await brand.until_quiet(site, within_s=1500)
    return [
        Row(promise="calls broken by chance", figure=f"{broken} for {size.doubtful} messages",
            target=f">= {size.doubtful // 20}", held=broken >= size.doubtful // 20),
        *await _towards_liveperson(site, brand, said, consumers),
        *await _towards_app(site, brand, [item.key for item in spoken]),
        *await _settled(site, brand),
    ]  # fmt: skip


def _in_turn(one: list[Any], other: list[Any]) -> list[Any]:
    return [item for pair in zip(one, other, strict=True) for item in pair]


_UNTRIED = """
    SELECT (SELECT count(*) FROM webhooks_delivery WHERE brand_id = %s AND state = 'STORED')
         + (SELECT count(*) FROM conversations_dispatch
            WHERE brand_id = %s AND state = 'QUEUED' AND attempt_count = 0)
"""


async def _all_tried(site: Site, brand: Brand) -> bool:
    return not await site.database.value(_UNTRIED, brand.brand_id, brand.brand_id)


async def _say_until_mended(site: Site, brand: Brand) -> list[Sent]:
    """
    Wait until calls go through again on either side: a breaker that opened over the broken ones has closed.

    While it is open, each send that is struck would be its next probe, and the next one half a minute later. Said by
    and to those who had no part in it: their lanes wait for nothing else.
    """
    said = [brand.consumer_says(_SPARE[number], f"doubt mended {number}") for number in range(_PROBES)]
    spoken = [brand.agent_says(_SPARE[_PROBES + n], f"doubt mended, agent {n}") for n in range(_PROBES)]
    draw = chance(site.seed, "doubt/mended")
    await asyncio.gather(*(site.sender.deliver(item, within_s=60, chance=draw) for item in [*said, *spoken]))
    wanted = {item.key for item in [*said, *spoken]}

    async def are_there() -> bool:
        at_liveperson = [text for one in await brand.at_liveperson(site) for text in one["texts"]]
        return wanted <= {*at_liveperson, *brand.inbox.texts()}

    await eventually(are_there, "calls that go through again", within_s=180)
    return [*said, *spoken]


async def _break_for_certain(site: Site, brand: Brand, consumers: list[str]) -> list[Sent]:
    """Sends to LivePerson that arrive or do not, each in a lane of its own, in which no worker is killed."""
    struck = []
    for number, kind in enumerate(_FOR_CERTAIN):
        item = brand.consumer_says(consumers[-1 - number], f"doubt for certain {number}")
        await _strike(site, brand, brand.to_liveperson, kind, item)
        struck.append(item)
    return struck


async def _kill_in_sends(
    site: Site, brand: Brand, size: Size, consumers: list[str], listeners: list[str]
) -> list[Sent]:
    """
    One kill after the other, on either side and at each step in turn; each has a message of its own to strike, and a
    lane of its own: behind what was struck before it would wait for that one's next try.
    """
    struck = []
    for number in range(size.kills_in_a_send):
        text, kind = f"doubt killed {number}", proxy.KILLS[number % 3]
        if number % 2 == 0:
            item, side = brand.consumer_says(consumers[number % len(consumers)], text), brand.to_liveperson
        else:
            item, side = brand.agent_says(listeners[number % len(listeners)], text), brand.to_app
        await _strike(site, brand, side, kind, item)
        struck.append(item)
        await asyncio.sleep(_APART_S)
    return struck


async def _strike(site: Site, brand: Brand, side: Proxy, kind: str, item: Sent) -> None:
    """
    Deliver something, and break the next send on that side in this way.

    A breaker may open over what is struck and what is killed: then this waits until something is called again.
    """
    before = side.broken.get(kind, 0)
    about = _SEND if side is brand.to_liveperson else b""
    side.faults = Faults(kinds=[kind], rate=1.0, times=1, about=about)
    await site.sender.deliver(item, within_s=60, chance=chance(site.seed, item.key))

    async def is_struck() -> bool:
        return side.broken.get(kind, 0) > before

    await eventually(is_struck, f"a call broken by {kind}", within_s=400, every_s=0.1)
    side.heal()


async def _towards_liveperson(site: Site, brand: Brand, said: list[Sent], consumers: list[str]) -> list[Row]:
    texts = [item.key for item in said]
    arrived = {one["consumer"]: one["texts"] for one in await brand.at_liveperson(site)}
    count = Counter(text for texts_of_one in arrived.values() for text in texts_of_one)
    listed = await checks.listed_texts(site, brand)
    marked = await checks.marked_texts(site, brand)
    lost = [text for text in texts if not count[text] and text not in listed]
    doubled = [text for text in texts if count[text] > 1 and text not in marked]
    late = [
        text
        for consumer in consumers
        for text in checks.overtaken((t for t in arrived.get(consumer, []) if t not in listed), said)
    ]
    shown = len([t for t in texts if t in listed]), len([t for t in texts if t in marked])
    note = f"({shown[0]} parked or dead and listed, {shown[1]} marked)"
    return [
        at_most("silent losses towards LivePerson", count=len(lost), of=len(texts), what=note),
        at_most("silent duplicates towards LivePerson", count=len(doubled), of=len(texts)),
        at_most("… inversions among them", count=len(late), of=len(texts)),
    ]


async def _towards_app(site: Site, brand: Brand, texts: list[str]) -> list[Row]:
    count = Counter(brand.inbox.texts())
    listed = await checks.listed_texts(site, brand)
    lost = [text for text in texts if not count[text] and text not in listed]
    doubled = [text for text in texts if count[text] > 1]
    unsigned = [arrival for arrival in brand.inbox.arrivals if not arrival.is_signed]
    return [
        at_most("silent losses towards the channel", count=len(lost), of=len(texts)),
        at_most("silent duplicates towards the channel", count=len(doubled), of=len(texts)),
        at_most("… requests without a good signature", count=len(unsigned), of=len(brand.inbox.arrivals)),
    ]


_IN_DOUBT = """
    SELECT dispatch.id, content.text, dispatch.resolution, dispatch.finished_at, dispatch.state,
           min(attempt.finished_at) AS doubted_at
    FROM conversations_dispatch dispatch
    JOIN conversations_attempt attempt ON attempt.dispatch_id = dispatch.id
    JOIN conversations_messagecontent content ON content.message_id = dispatch.message_id
    JOIN conversations_lane lane ON lane.id = dispatch.lane_id
    WHERE dispatch.brand_id = %s AND lane.direction = 'TO_LIVEPERSON'
      AND attempt.step = 'PUBLISH' AND attempt.outcome = 'UNANSWERED'
    GROUP BY dispatch.id, content.text
"""


async def _settled(site: Site, brand: Brand) -> list[Row]:
    """Of the sends in doubt that did arrive, which were settled by their echo, and how soon."""
    arrived = Counter(text for one in await brand.at_liveperson(site) for text in one["texts"])
    marked = await checks.marked_texts(site, brand)
    doubted = await site.database.rows(_IN_DOUBT, brand.brand_id)
    # What was sent again arrived by its second try; that the first had arrived, too, shows where there are two of it.
    first_try = [row for row in doubted if arrived[row["text"]] > (row["text"] in marked)]
    settled = [
        row
        for row in first_try
        if row["resolution"] == "echo" and row["finished_at"] - row["doubted_at"] <= SETTLED_WITHIN
    ]
    share = len(settled) / len(first_try) if first_try else 0.0
    rest = [row for row in doubted if row not in first_try]
    shown = [row for row in rest if row["text"] in marked or row["state"] in ("PARKED", "DEAD", "FAILED")]
    return [
        Row(
            promise="unknown and arrived: settled by the echo within 60 s",
            figure=f"{share:.1%} of {len(first_try)}",
            target=">= 99%",
            held=bool(first_try) and share >= 0.99,
        ),
        at_most(
            "unknown and not arrived: neither sent again with the mark nor listed",
            count=len(rest) - len(shown),
            of=len(rest),
        ),
    ]
