"""Towards others: no call before Retry-After, no redirect followed, no call longer than ten seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from bench.chaos import proxy
from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.proxy import Faults
from bench.chaos.report import Row, at_most, within
from bench.chaos.site import Site, chance, eventually, say
from bench.chaos.sizes import Size

BRAND = "patience"
RETRY_AFTER_S = 9  # longer than anybody would wait for the first time without being told
STUCK = 4  # on either side
# A breaker may have to open first: its probes are calls, too.
STUCK_CALLS_END_WITHIN_S = 120
REFUSED = 2  # few enough in a row that no breaker opens, which would hide the rest
LONGEST_CALL_S = 10.0
_SLACK_S = 0.05  # the other side's clock starts when it answers, ours when it writes that down


async def run(site: Site, brand: Brand, size: Size) -> list[Row]:
    consumers = [f"discipline-{number}" for number in range(6)]
    # Who is spoken to does not write: the sequences that we make up would hide the echoes of what is written.
    await brand.open_conversations(site, [*consumers, *(f"{c} alone" for c in consumers)])
    say("discipline: Retry-After, redirects, answers that drip or never come")
    early = await _retry_after(site, brand, consumers)
    redirects = await _redirects(site, brand, consumers)
    stuck = await _stuck_calls(site, brand, consumers)
    await brand.until_quiet(site, within_s=240)
    longest_s = max(stuck, default=99.0)
    return [
        at_most("calls before Retry-After", count=sum(early), of=len(early)),
        at_most("redirects followed", count=site.apps.trapped, of=redirects),
        within("longest call, its answer dripping or never coming", figure_s=longest_s, most_s=LONGEST_CALL_S,
               note=f"at worst of {len(stuck)}", measured=len(stuck), at_least=2 * STUCK),
    ]  # fmt: skip


async def _retry_after(site: Site, brand: Brand, consumers: list[str]) -> list[bool]:
    """LivePerson answers 429, the app 503, some messages once and with a time; which next calls came too early."""
    told: set[str] = set()

    def once(webhook_id: str, text: str) -> tuple[int, dict[str, str]]:
        if not text or webhook_id in told or len(told) >= REFUSED:
            return 200, {}
        told.add(webhook_id)
        return 503, {"retry-after": str(RETRY_AFTER_S)}

    brand.inbox.answer = once
    since = len((await site.simulate("GET", "requests?since=0"))["requests"])
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    await site.break_liveperson(
        account=brand.account, on="send", do="status", status=429, headers=headers, times=REFUSED
    )
    words = [brand.consumer_says(f"{c} alone", f"{c} after a 429") for c in consumers]
    await _say(site, words + [brand.agent_says(c, f"{c} after a 503") for c in consumers], "retry")
    await brand.until_quiet(site, within_s=120)
    await site.mend_liveperson(brand.account)
    brand.inbox.answer = lambda webhook_id, text: (200, {})
    entries = (await site.simulate("GET", f"requests?since={since}"))["requests"]
    at_liveperson: dict[str, list[tuple[float, int]]] = {}
    for entry in entries:
        if entry["on"] == "send" and entry["account"] == brand.account and entry["body"]:
            at_liveperson.setdefault(entry["body"]["id"], []).append((entry["at"] / 1000, entry["status"]))
    in_app: dict[str, list[tuple[float, int]]] = {}
    for arrival in brand.inbox.arrivals:
        in_app.setdefault(arrival.webhook_id, []).append((arrival.at, arrival.status))
    one, other = _too_early(at_liveperson.values()), _too_early(in_app.values())
    return [*one, *other] if one and other else []  # half of it shows nothing


def _too_early(calls: Iterable[list[tuple[float, int]]]) -> list[bool]:
    return [
        later[0] - earlier[0] < RETRY_AFTER_S - _SLACK_S
        for series in calls
        for earlier, later in zip(series, series[1:], strict=False)
        if earlier[1] in (429, 503)
    ]


async def _redirects(site: Site, brand: Brand, consumers: list[str]) -> int:
    """Both sides answer with a redirect to a place that counts its visitors. Returns how often they did."""
    since = len((await site.simulate("GET", "requests?since=0"))["requests"])
    trap = f"http://127.0.0.1:{site.apps.port}/trap"
    statuses = iter((301, 302, 303, 307, 308) * 100)
    told: set[str] = set()

    def redirect(webhook_id: str, text: str) -> tuple[int, dict[str, str]]:
        if not text or webhook_id in told:
            return 200, {}
        told.add(webhook_id)
        return next(statuses), {"location": trap}

    brand.inbox.answer = redirect
    for status in (302, 307):
        await site.break_liveperson(
            account=brand.account, on="send", do="status", status=status, headers={"Location": trap}, times=1
        )
    words = [brand.consumer_says(f"{c} alone", f"{c} redirected") for c in consumers]
    await _say(site, words + [brand.agent_says(c, f"{c} redirected to") for c in consumers], "redirects")
    await asyncio.sleep(3)
    await site.mend_liveperson(brand.account)
    brand.inbox.answer = lambda webhook_id, text: (200, {})
    entries = (await site.simulate("GET", f"requests?since={since}"))["requests"]
    at_liveperson = sum(entry["account"] == brand.account and 300 <= entry["status"] < 400 for entry in entries)
    return len(told) + at_liveperson if told and at_liveperson else 0


async def _stuck_calls(site: Site, brand: Brand, consumers: list[str]) -> list[float]:
    """Answers that come a byte a second, and such that never come: how long the caller waited, by our own clock."""
    for side in (brand.to_liveperson, brand.to_app):
        side.faults = Faults(kinds=(proxy.DRIP, proxy.SWALLOW), rate=1.0, times=STUCK)
    words = [brand.consumer_says(f"{c} alone", f"{c} stuck") for c in consumers]
    await _say(site, words + [brand.agent_says(c, f"{c} stuck there") for c in consumers], "stuck")
    sides = (brand.to_liveperson, brand.to_app)

    async def all_given_up() -> bool:
        return all(len(side.stuck_s) >= STUCK for side in sides)

    with contextlib.suppress(TimeoutError):  # the row says how many were
        await eventually(all_given_up, "the end of every stuck call", within_s=STUCK_CALLS_END_WITHIN_S)
    stuck = [took_s for side in sides for took_s in side.stuck_s]
    brand.to_liveperson.heal()
    brand.to_app.heal()
    return stuck


async def _say(site: Site, items: list[Sent], purpose: str) -> None:
    await site.sender.deliver_all(items, per_s=30, within_s=30, chance=chance(site.seed, f"discipline/{purpose}"))
