"""Comparing the ledgers: what the kit sent, what the database holds, what reached the other side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.chaos.brand import Brand
from bench.chaos.ledger import Sent
from bench.chaos.site import Site


async def not_stored(site: Site, brand: Brand, acked: Iterable[Sent]) -> list[Sent]:
    """What was answered 200 and is not in the database, byte for byte."""
    stored = await site.database.rows(
        "SELECT encode(sha256, 'hex') AS digest, inbox_id::text AS inbox FROM webhooks_delivery WHERE brand_id = %s",
        brand.brand_id,
    )
    known = {(row["inbox"], row["digest"]) for row in stored}
    inboxes = {"liveperson": brand.installation_id, "channel": brand.channel_id}
    return [item for item in acked if (inboxes[item.source], item.sha256) not in known]


async def not_applied(site: Site, brand: Brand) -> int:
    """Deliveries that never came to their effect."""
    return int(
        await site.database.value(
            "SELECT count(*) FROM webhooks_delivery WHERE brand_id = %s AND state NOT IN ('PROCESSED')", brand.brand_id
        )
    )


async def listed_texts(site: Site, brand: Brand) -> set[str]:
    """What the site itself shows as parked, dead or failed: a loss that somebody can see is not a silent one."""
    found = await site.database.rows(
        "SELECT content.text FROM conversations_dispatch dispatch"
        " JOIN conversations_messagecontent content ON content.message_id = dispatch.message_id"
        " WHERE dispatch.brand_id = %s AND dispatch.state IN ('PARKED', 'DEAD', 'FAILED')",
        brand.brand_id,
    )
    return {row["text"] for row in found}


async def marked_texts(site: Site, brand: Brand) -> set[str]:
    """What the site itself marks as possibly doubled."""
    found = await site.database.rows(
        "SELECT content.text FROM conversations_dispatch dispatch"
        " JOIN conversations_messagecontent content ON content.message_id = dispatch.message_id"
        " WHERE dispatch.brand_id = %s AND dispatch.possible_duplicate",
        brand.brand_id,
    )
    return {row["text"] for row in found}


async def waiting_backends(site: Site) -> set[int]:
    """Process ids of the site's database sessions that wait for a lock."""
    found = await site.database.rows(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'connector-site'"
    )
    return {row["pid"] for row in found}


def doubled(texts: Iterable[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]


def inversions(arrived: Sequence[str], wanted: Sequence[str]) -> int:
    """How many neighbours came in the wrong order, by the first arrival of each."""
    place = {text: number for number, text in enumerate(wanted)}
    first = list(dict.fromkeys(text for text in arrived if text in place))
    return sum(place[one] > place[other] for one, other in zip(first, first[1:], strict=False))


def overtaken(arrived: Iterable[str], said: Iterable[Sent]) -> list[str]:
    """
    What came after something that was not even asked for when it had been answered 200, by the first arrival of each.

    Of two that were under way at once nobody knows which was stored first: an attempt without an answer may have been.
    """
    sent = {item.key: item for item in said}
    late, last_asked_at = [], 0.0
    for text in dict.fromkeys(arrived):
        if text in sent:
            if sent[text].acked_by < last_asked_at:
                late.append(text)
            last_asked_at = max(last_asked_at, sent[text].asked_at)
    return late
