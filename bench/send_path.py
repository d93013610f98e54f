"""
The send path alone: dispatches queued beforehand, the simulator's echo off.

The floor is a bare loop: the same HTTP calls with the same number in flight, and two commits a message. Rounds of both
are interleaved, and the median of their ratios counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.brand import BenchBrand, make_brand, open_conversations
from bench.report import Figure
from bench.site import Site, say

MESSAGES = 2000
CONSUMERS = 200
ROUNDS = 3
SLOW_S = 0.080


def measure(site: Site) -> list[Figure]:
    brand = make_brand(site, name="bench-send", account="91000001")
    open_conversations(site, brand, count=CONSUMERS)
    site.simulator("PATCH", f"accounts/{brand.account}", {"echo": False})
    ours, floors = [], []
    for number in range(1, ROUNDS + 1):
        floors.append(_bare_loop(brand))
        ours.append(_drain(brand))
        say(f"  round {number}: ours {ours[-1]:.0f}/s, bare loop {floors[-1]:.0f}/s")
    ratio = statistics.median(own / floor for own, floor in zip(ours, floors, strict=True))
    site.simulator("PUT", "faults", [{"on": "send", "account": brand.account, "do": "delay", "seconds": SLOW_S}])
    slow = [_drain(brand) for _ in range(ROUNDS)]
    site.simulator("DELETE", "faults")
    return [
        Figure(
            figure="send path, queued beforehand",
            value=statistics.median(ours),
            unit="msg/s",
            against=f"bare loop {statistics.median(floors):.0f} msg/s",
            ratio=ratio,
            target="ratio >= 0.5",
            met=ratio >= 0.5,
        ),
        Figure(
            figure="send path, LivePerson answers after 80 ms",
            value=statistics.median(slow),
            unit="msg/s",
            target=">= 200",
            met=statistics.median(slow) >= 200,
        ),
    ]


def _drain(brand: BenchBrand) -> float:
    """Messages a second from the moment the lanes become due until the last one is sent."""
    from django.db import transaction
    from django.db.models.functions import Now

    from conversations.models import Dispatch, DispatchState, Lane
    from core import queue

    mine = Dispatch.objects.filter(brand=brand.channel.brand)
    _queue_messages(brand)
    time.sleep(1.0)
    started = time.perf_counter()
    with transaction.atomic():
        Lane.objects.filter(brand=brand.channel.brand, direction="TO_LIVEPERSON").update(due_at=Now())
        queue.ring()
    while mine.filter(state__in=[DispatchState.QUEUED, DispatchState.SENDING]).exists():
        time.sleep(0.02)
    elapsed = time.perf_counter() - started
    failed = mine.exclude(state=DispatchState.SENT).count()
    if failed:
        raise SystemExit(f"{failed} messages were not sent.")
    return MESSAGES / elapsed


def _queue_messages(brand: BenchBrand) -> None:
    from datetime import UTC, datetime, timedelta

    from django.db import transaction

    from conversations import lanes
    from conversations.models import Consumer, Lane, Message, MessageContent
    from conversations.texts import digest_of

    later = datetime.now(UTC) + timedelta(hours=1)
    for consumer in Consumer.objects.filter(channel=brand.channel):
        with transaction.atomic():
            Lane.objects.filter(consumer=consumer, direction="TO_LIVEPERSON").update(due_at=later)
            for number in range(MESSAGES // CONSUMERS):
                message = Message.objects.create(
                    brand_id=consumer.brand_id, consumer=consumer, channel=brand.channel, direction="TO_LIVEPERSON",
                    sender_role="CONSUMER", status="QUEUED", occurred_at=datetime.now(UTC),
                )  # fmt: skip
                text = f"message {number} of the benchmark"
                MessageContent.objects.create(message=message, text=text, expires_on=later.date())
                lanes.append(
                    consumer=consumer, direction="TO_LIVEPERSON", kind="TEXT", message=message,
                    payload={"part": 0, "of": 1}, content_digest=digest_of(text),
                )  # fmt: skip


def _bare_loop(brand: BenchBrand) -> float:
    """The floor, in as many processes and threads as our workers have."""
    from django.conf import settings

    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        plan.write_text(json.dumps({"requests": _requests(brand), "database": _conninfo()}))
        processes = settings.Q_CLUSTER["workers"]
        from conversations.drain import SLOTS

        # As many in flight as one account may have. With more connections than the server takes it would never begin.
        threads = SLOTS // 2
        say(f"  bare loop: {processes} processes x {threads} threads")
        result = subprocess.run(
            [sys.executable, "-m", "bench.bare_loop", str(plan), str(processes), str(threads)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return MESSAGES / float(result.stdout)


def _requests(brand: BenchBrand) -> list[dict[str, object]]:
    from conversations.models import ConsumerToken, Conversation
    from installations import tokens
    from installations.connectors import get_connector

    connector = get_connector(brand.channel.pk)
    from datetime import UTC, datetime

    known = tokens.look_up(connector.installation.pk, now=datetime.now(UTC)).known
    assert known is not None
    base = connector.client.domains.base_url(account_id=brand.account, service="asyncMessagingEnt")
    url = f"{base}/api/account/{brand.account}/messaging/consumer/conversation/send?v=3"
    jws = {token.consumer_id: token.reveal() for token in ConsumerToken.objects.filter(consumer__channel=brand.channel)}
    found = []
    for conversation in Conversation.objects.filter(channel=brand.channel):
        for number in range(MESSAGES // CONSUMERS):
            found.append(
                {
                    "url": url,
                    "headers": {"Authorization": known.token, "X-LP-ON-BEHALF": jws[conversation.consumer_id]},
                    "conversation": conversation.lp_conversation_id,
                    "text": f"message {number} of the benchmark",
                }
            )
    return found


def _conninfo() -> dict[str, str]:
    from django.db import connection

    return {key: str(value) for key, value in connection.get_connection_params().items() if key in _CONNECT}


_CONNECT = ("host", "port", "user", "password", "dbname")
