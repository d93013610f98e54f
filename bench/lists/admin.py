"""
Statements and buffer pages per page of the admin, with 100,000 and with 1,000,000 messages: `make bench ONLY=admin`.

Asked are all lists of records, without a filter, by each of their filters and by their search, the page that finds, and
the overview: by somebody who runs the whole site and by the managers of a large and of a small brand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from bench.lists import pieces
from bench.lists.counting import Cost, asked, cost_of_pages, priced
from bench.lists.measure import compared
from bench.lists.questions import deep_moment
from bench.report import Figure
from bench.site import say

READERS = {"platform": (), "big brand": ("big",), "small brand": ("small",)}
# Of long lists of choices: frequent, rare, never.
_WORDS = {
    "error_code": ("unanswered", "request_rejected", "consumer_gone"),
    "since": ("day",),
    "action": ("dispatch.dropped", "account.changed"),
    "subject_type": ("dispatch", "lane"),
}
# Of a list without a filter: so many that follow each other, and so many that begin in the depth.
_PAGES = 5
_CONVERSATIONS = 2
_RANGES = ("hour", "day", "week", "month")


def measure() -> list[Figure]:
    found = compared(_ask_all, kept_as="bench-admin.txt")
    return [replace(one, figure=f"admin: {one.figure}") for one in found]


def _ask_all(fewest_messages: int) -> Iterator[tuple[str, Cost]]:
    begins, ends = pieces.span_of_history()
    deep, middle = deep_moment(begins, fewest_messages=fewest_messages), begins + (ends - begins) / 2
    _count_what_happened()
    for reader, slugs in READERS.items():
        client = _signed_in(reader, slugs)
        for page in _lists():
            yield from _costs_of_list(page, reader, client, deep=deep, middle=middle)
        yield from _costs_of_searches(reader, client, slugs, deep=deep)
        yield from _costs_of_overview(reader, client, slugs)
        yield from _costs_of_rows(reader, client, slugs, deep=deep)


def _count_what_happened() -> None:
    """The overview reads counts, which workers would have written, and the database have tidied up since."""
    from django.db import connection

    from connector_site.rollups import counting

    say("    counting what happened, for the overview")
    for _ in counting.walk():
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE connector_site_rollupcount")


def _signed_in(reader: str, slugs: tuple[str, ...]) -> Any:
    from django.test import Client

    from access.models import Brand, Membership, Role, User

    name = f"admin-{reader.replace(' ', '-')}"
    user = User.objects.filter(username=name).first()
    if user is None:
        make = User.objects.create_user if slugs else User.objects.create_superuser
        user = make(username=name, is_staff=True)
        for slug in slugs:
            Membership.objects.create(user=user, brand=Brand.objects.get(slug=slug), role=Role.OWNER)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    client.owner = user  # type: ignore[attr-defined]
    return client


def _lists() -> list[Any]:
    from django.contrib import admin

    from access.admin_records import RecordAdmin

    return [one for one in admin.site._registry.values() if isinstance(one, RecordAdmin)]


# --- lists -----------------------------------------------------------------------------------------------------------


def _costs_of_list(
    page: Any, reader: str, client: Any, *, deep: datetime, middle: datetime
) -> Iterator[tuple[str, Cost]]:
    from access import cursors
    from access.cursors import Place
    from core.ids import first_id_at

    path, name, ask = _path_of(page), _name_of(page), partial(_cost_of_page, client)
    for told, filters in (("", {}), *_filters_of(page, client, middle)):
        count, question = (1 if filters else _PAGES), f"{name} {told}".strip()
        yield f"{question} | {reader} | first", cost_of_pages(ask, f"{path}?{urlencode(filters)}", count)
        place = Place(path=path, reader_id=str(client.owner.pk), filters=list(filters.items()))
        cursor = cursors.seal(first_id_at(deep), place)
        yield (
            f"{question} | {reader} | deep",
            cost_of_pages(ask, f"{path}?{urlencode({**filters, 'p': cursor})}", count),
        )


def _path_of(page: Any) -> str:
    from django.urls import reverse

    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def _name_of(page: Any) -> str:
    return f"list-of-{page.opts.model_name}"


def _filters_of(page: Any, client: Any, middle: datetime) -> Iterator[tuple[str, dict[str, str]]]:
    """Each value of each filter that the reader can choose, and of links one row from the middle of the history."""
    from access.admin_filters import LinkFilter, RowFilter

    for one in page.list_filter:
        name = str(one.parameter_name)
        if issubclass(one, LinkFilter):
            values = [("one", _linked(page.model, one, client.owner, middle))]
        elif issubclass(one, RowFilter):
            values = list(_offered(one, client.owner))
        else:
            values = [(word, word) for word in _WORDS.get(name, [word for word, _ in one.words()])]
        yield from ((f"{name}={told}", {name: value}) for told, value in values if value)


def _linked(model: Any, one: Any, reader: Any, middle: datetime) -> str:
    """The row that another from the middle of the history belongs to; of entries of the trail, who and what it is."""
    from access.rules import limit
    from core.ids import first_id_at

    column = one.lookup or f"{one.parameter_name}_id"
    rows = limit(model.objects.filter(pk__lt=first_id_at(middle)), reader).order_by("-pk")
    return next((str(found) for found in rows.values_list(column, flat=True)[:100] if found), "")


def _offered(one: Any, reader: Any) -> Iterator[tuple[str, str]]:
    """The first, the third and the last of each brand: of channels these are a large, a silent and a little one."""
    from access.rules import limit

    for slug in ("big", "small", "gone"):
        rows = limit(one.model.objects.all(), reader).order_by("id")
        mine = list(rows.filter(slug=slug) if one.parameter_name == "brand" else rows.filter(brand__slug=slug))
        for number in sorted({0, min(2, len(mine) - 1), len(mine) - 1}) if mine else ():
            yield f"{slug}-{number}", str(mine[number].pk)


def _cost_of_page(client: Any, address: str, form: dict[str, str] | None = None) -> tuple[Cost, str]:
    answer, statements = asked(lambda: client.get(address) if form is None else client.post(address, form))
    shown = answer.context_data.get("cl")
    older = getattr(shown, "older_url", "")
    cost = priced(
        # That somebody is still there is noted now and then; what kinds of rows there are, each process asks once.
        [one for one in statements if "django_session" not in one[0] and "django_content_type" not in one[0]],
        rows=len(shown.result_list) if shown else 0,
        has_more=bool(older),
    )
    return cost, older and f"{answer.request['PATH_INFO']}{older}"


# --- searches, the overview, and pages of one row ---------------------------------------------------------------------


def _costs_of_searches(
    reader: str, client: Any, slugs: tuple[str, ...], *, deep: datetime
) -> Iterator[tuple[str, Cost]]:
    from django.urls import reverse

    from conversations.models import Message
    from core.ids import first_id_at

    mine = Message.objects.filter(brand__slug__in=slugs or ("big",), conversation__isnull=False).order_by("-pk")
    lists = {page.opts.model_name: _path_of(page) for page in _lists()}
    for place, rows in (("first", mine), ("deep", mine.filter(pk__lt=first_id_at(deep)))):
        message = _of_like_consumer(rows.filter(direction="TO_LIVEPERSON"))
        terms = {
            "phone": message.consumer.channel_consumer_id,
            "liveperson-id": message.conversation.lp_conversation_id,
            "channels-id": message.channel_message_id,
            "our-id": str(message.pk),
            "nothing": "nobody-is-called-this",
        }
        for told, term in terms.items():
            cost, _ = _cost_of_page(client, reverse("admin:find"), {"term": term})
            yield f"find-by-{told} | {reader} | {place}", cost
            for name, path in lists.items():
                cost, _ = _cost_of_page(client, f"{path}?{urlencode({'q': term})}")
                # The trail is searched by the names of actors, which no index leads to: a thousand at a time.
                question = f"list-of-{name} q={told}" if name == "auditentry" else f"list-of-{name}-by-{told}"
                yield f"{question} | {reader} | {place}", cost


def _of_like_consumer(messages: Any) -> Any:
    """The newest message of somebody who has two conversations: of another number a page costs another price."""
    newest = messages.select_related("consumer", "conversation").iterator(chunk_size=100)
    return next(message for message in newest if message.consumer.conversations.count() == _CONVERSATIONS)


def _costs_of_overview(reader: str, client: Any, slugs: tuple[str, ...]) -> Iterator[tuple[str, Cost]]:
    from django.urls import reverse

    from access.models import Brand

    chosen = str(Brand.objects.get(slug=(slugs or ("big",))[0]).pk)
    for asked_range in _RANGES:
        # The smaller history is shorter than a month.
        name = "overview" if asked_range != "month" else "overview range"
        cost, _ = _cost_of_page(client, f"{reverse('admin:index')}?{urlencode({'range': asked_range})}")
        yield f"{name}={asked_range} | {reader} | first", cost
        query = urlencode({"range": asked_range, "brand": chosen})
        cost, _ = _cost_of_page(client, f"{reverse('admin:index')}?{query}")
        yield f"{name}={asked_range},brand | {reader} | first", cost


def _costs_of_rows(reader: str, client: Any, slugs: tuple[str, ...], *, deep: datetime) -> Iterator[tuple[str, Cost]]:
    """Pages of what is set up, of a large, a small and a silent brand; and of what was stored lately and long ago."""
    from access.models import Brand
    from access.rules import limit
    from conversations.models import Conversation, Dispatch, Message
    from core.ids import first_id_at
    from installations.models import Account, AppInstallation, Channel
    from webhooks.models import Delivery

    for model in (Brand, Account, AppInstallation, Channel):
        for slug in ("big", "small", "gone"):
            of_brand = {"slug": slug} if model is Brand else {"brand__slug": slug}
            row = limit(model.objects.filter(**of_brand), client.owner).order_by("pk").first()
            if row is not None:
                yield f"page-of-{model._meta.model_name}-{slug} | {reader} | first", _cost_of_row(client, row)
    for place, rows in (("first", {}), ("deep", {"pk__lt": first_id_at(deep)})):
        for model in (Message, Conversation, Dispatch, Delivery):
            seen = limit(model.objects.filter(**rows), client.owner)
            row = seen.filter(brand__slug__in=slugs or ("big",)).order_by("-pk").first()
            yield f"page-of-{model._meta.model_name} | {reader} | {place}", _cost_of_row(client, row)
            if model is Conversation:
                consumer = _of_like_consumer(Message.objects.filter(**rows, brand=row.brand_id)).consumer
                yield f"page-of-consumer | {reader} | {place}", _cost_of_row(client, consumer)


def _cost_of_row(client: Any, row: Any) -> Cost:
    from django.urls import reverse

    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    cost, _ = _cost_of_page(client, address)
    return cost
