"""Idle end to end: from a consumer's POST to LivePerson's record of it, and from an agent's word to the app."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from typing import Any

from bench.brand import make_brand, open_conversations
from bench.report import Figure
from bench.site import Site, say

PROBES = 40


def measure(site: Site) -> list[Figure]:
    brand = make_brand(site, name="bench-idle", account="91000002")
    open_conversations(site, brand, count=1)
    conversation = site.simulator("GET", f"accounts/{brand.account}/conversations")["conversations"][0]
    agent = f"accounts/{brand.account}/conversations/{conversation['id']}/agent"
    site.simulator("POST", agent, {"do": "join"})
    out, back = [], []
    for number in range(PROBES):
        time.sleep(0.3 + number % 7 / 50)  # out of step with every poll
        out.append(_consumer_to_agent(site, brand.phone, number))
        time.sleep(0.3 + number % 5 / 50)
        back.append(_agent_to_consumer(site, brand.phone, agent, number))
    say(f"  {PROBES} probes each way")
    return [_figure("idle, consumer to LivePerson, p50", out), _figure("idle, agent to channel, p50", back)]


def _figure(name: str, values: list[float]) -> Figure:
    p50 = statistics.median(values)
    p95 = statistics.quantiles(values, n=20)[-1]
    return Figure(figure=name, value=p50, unit="ms", against=f"p95 {p95:.0f} ms", target="< 150", met=p50 < 150)


def _consumer_to_agent(site: Site, phone: str, number: int) -> float:
    text = f"probe out {number}"
    since = _last_number(site)
    started = time.time()
    site.simulator("POST", f"phones/{phone}/say", {"consumer": {"id": "c-0", "name": "C"}, "text": text})
    return _until(lambda: site.simulator("GET", f"requests?since={since}")["requests"], text, started)


def _last_number(site: Site) -> int:
    entries = site.simulator("GET", "requests?since=0")["requests"]
    return int(entries[-1]["n"]) if entries else 0


def _agent_to_consumer(site: Site, phone: str, agent: str, number: int) -> float:
    text = f"probe back {number}"
    started = time.time()
    site.simulator("POST", agent, {"do": "say", "text": text})
    return _until(lambda: site.simulator("GET", f"phones/{phone}/messages")["messages"][-3:], text, started)


def _until(look: Any, text: str, started: float) -> float:
    deadline = started + 10
    while time.time() < deadline:
        for entry in look():
            if text in str(entry):
                return (_stamp(entry) - started) * 1000
        time.sleep(0.005)
    raise SystemExit(f"{text!r} did not arrive within 10 s.")


def _stamp(entry: dict[str, Any]) -> float:
    """When the other side saw it, by its own record: the time of looking would add the polling."""
    at = entry["at"]
    return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else at / (1000 if at > 1e11 else 1)
