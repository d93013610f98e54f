"""
Fills a site's database with the history of months: `python -m bench.lists.load 1000000`, with that site's DATA_DIR.

The site's traffic is the same however many messages there are: ten times the messages are ten times the days. So a
page of the newest hundred rows is made of the same minutes, and what differs is only how much lies beneath it.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.lists import rows
from bench.lists.indexes import set_aside
from bench.site import say

if TYPE_CHECKING:
    from access.models import Brand
    from installations.models import Channel

# A conversation begins every two and a half minutes: a million messages are half a year.
PACE = timedelta(milliseconds=155_520)
LAST_BEGAN_AGO = timedelta(minutes=40)
RETENTION_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A brand. channels: of each account the shares of its channels, in ten thousandths of all consumers."""

    slug: str
    channels: tuple[tuple[int, ...], ...]


# 70, 25 and 5 of a hundred. A channel of each size, and one that nobody has ever written on.
BRANDS = (
    _Plan(slug="big", channels=((4000, 1000, 0), (1990, 10))),
    _Plan(slug="middle", channels=((1500, 1000),)),
    _Plan(slug="small", channels=((500,),)),
    # Beside these: see rows.GONE.
    _Plan(slug="gone", channels=((1,),)),
)


def fill(messages: int) -> None:
    """Raises SystemExit where there are messages: it would mix its own with them."""
    from django.db import connection

    started = time.monotonic()
    write(messages)
    begun = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("DISCARD ALL")
        cursor.execute("VACUUM ANALYZE")
    say(f"    vacuumed in {time.monotonic() - begun:.0f} s")
    say(f"    {messages:,} messages and what is around them: {time.monotonic() - started:.0f} s in all")


def write(messages: int) -> None:
    """What `fill` does, without tidying up: all of it or nothing."""
    from django.db import connection, transaction

    from conversations.models import Message

    if Message.objects.exists():
        raise SystemExit("This database has messages. Fill a fresh one.")
    with transaction.atomic(), connection.cursor() as cursor:
        # For this transaction alone; the server goes on with the settings that the product gives it.
        cursor.execute("SET LOCAL work_mem = '256MB'; SET LOCAL maintenance_work_mem = '512MB'")
        for statement in rows.EMPTY_PLAN:
            cursor.execute(statement)
        _plan(cursor, messages)
        # A table whose new rows still wait for a check cannot be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with set_aside(rows.LONG_TABLES):
            # What was emptied in this very transaction is written without a log of it, where the server keeps none.
            emptied = [table for table in rows.LONG_TABLES if not table.startswith("audit")]
            cursor.execute(f"TRUNCATE {', '.join(emptied)} CASCADE")
            for name, statement in rows.FILL.items():
                begun = time.monotonic()
                cursor.execute(statement)
                say(f"    {cursor.rowcount:>9,} {name} in {time.monotonic() - begun:.1f} s")


def _plan(cursor: Any, messages: int) -> None:
    conversations = messages // rows.TURNS
    begins = datetime.now(UTC) - LAST_BEGAN_AGO - PACE * conversations
    cursor.execute(
        "INSERT INTO plan_site VALUES (%s, %s, %s, %s)",
        [messages, int(begins.timestamp() * 1000), PACE // timedelta(milliseconds=1), RETENTION_DAYS],
    )
    cursor.executemany("INSERT INTO plan_channel VALUES (%s, %s, %s, %s, %s, %s, %s)", list(_slots()))
    begun = time.monotonic()
    _hash_phones(cursor, consumers=messages // (2 * rows.TURNS))
    for statement in rows.PLAN:
        cursor.execute(statement)
    cursor.execute("ANALYZE plan_message")
    say(f"    planned in {time.monotonic() - begun:.0f} s")


def _hash_phones(cursor: Any, *, consumers: int) -> None:
    from core.vault import search_hash

    with cursor.copy("COPY plan_hash FROM STDIN") as copy:
        for number in range(1, consumers + 1):
            phone = f"+1555{number:08d}"
            copy.write_row((phone, search_hash(phone)))


def _slots() -> Iterator[tuple[int, int, uuid.UUID, uuid.UUID, uuid.UUID, uuid.UUID, str]]:
    """Each channel with the part of the ten thousand that is its own; none, for the channel nobody writes on."""
    first = 0
    for plan in BRANDS:
        for share, channel in _make_brand(plan):
            last = first + share - 1
            ids = (channel.brand_id, channel.account_id, channel.installation_id, channel.pk)
            yield first, last, *ids, channel.prefix
            first += share


def _make_brand(plan: _Plan) -> Iterator[tuple[int, Channel]]:
    from access.models import Brand

    brand = Brand.objects.create(slug=plan.slug, name=plan.slug.title(), retention_days=RETENTION_DAYS)
    for number, shares in enumerate(plan.channels):
        yield from zip(shares, _make_account(brand, number, len(shares)), strict=True)


def _make_account(brand: Brand, number: int, channels: int) -> Iterator[Channel]:
    from core.ids import new_id
    from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret

    lp_account_id = str(90_000_000 + Account.objects.count())
    account = Account.objects.create(brand=brand, lp_account_id=lp_account_id, name=f"{brand.name} {number}")
    installation = AppInstallation.objects.create(brand=brand, account=account, client_id=str(new_id()))
    secret = InstallationSecret(brand=brand, installation=installation)
    secret.keep(f"secret of {installation.pk}".encode())
    secret.save(force_insert=True)
    for name in ("sms", "app", "web")[:channels]:
        channel = Channel.objects.create(
            brand=brand, account=account, installation=installation, type="custom", name=name, prefix=name,
            config={"url": "https://app.example.com/from-agents"},
        )  # fmt: skip
        signing = ChannelSecret(brand=brand, channel=channel)
        signing.keep(f"secret of {channel.pk}".encode())
        signing.save(force_insert=True)
        yield channel


def _main() -> None:
    from pathlib import Path

    from bench.lists.database import set_up_django
    from connector_site import embedded_postgres, environment

    environment.load()
    with embedded_postgres.for_command(["manage.py", "shell"], data_dir=Path(os.environ["DATA_DIR"])):
        set_up_django()
        fill(int(sys.argv[1]))


if __name__ == "__main__":
    _main()
