"""How the admin's long lists are walked: complete, bounded, by nobody but who may, and never counted."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from access import newest
from access.admin_base import BrandScopedAdmin, GuardedAdmin
from access.admin_lists import NewestChangeList
from access.admin_records import RecordAdmin
from access.models import Membership, Role, User
from audit.models import AuditEntry
from conversations.models import Conversation, Dispatch, Message
from core.ids import new_id
from tests.access.walks import add_messages
from tests.admin_pages import signed_in
from tests.factories import World, make_superuser, make_two_brands, make_user, make_world

pytestmark = pytest.mark.django_db

MESSAGES = "/admin/conversations/message/"
DISPATCHES = "/admin/conversations/dispatch/"
CONVERSATIONS = "/admin/conversations/conversation/"
TRAIL = "/admin/audit/auditentry/"
ROW = re.compile(r'name="_selected_action" value="([0-9a-f-]{36})"|/admin/\w+/\w+/([0-9a-f-]{36})/change/')


def shown(page: str, among: set[str]) -> list[str]:
    """The ids of the rows of a list, in their order."""
    return list(dict.fromkeys(one for pair in ROW.findall(page) for one in pair if one in among))


def older(page: str) -> str | None:
    """The address of the next page."""
    found = re.search(r'rel="next" href="([^"]*)"', page)
    return found and found[1].replace("&amp;", "&")


def walked(client: Client, address: str, among: set[str], **asked: str) -> tuple[list[str], list[str]]:
    """The ids on all pages of a list, and the pages."""
    ids: list[str] = []
    pages: list[str] = []
    following: str | None = f"{address}?{'&'.join(f'{name}={value}' for name, value in asked.items())}"
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200
        pages.append(answer.content.decode())
        ids += shown(pages[-1], among)
        link = older(pages[-1])
        following = link and f"{address}{link}"
        assert len(pages) < 100
    return ids, pages


@pytest.fixture
def short_pages(monkeypatch):
    """Three rows on a page, and five that are looked at for it."""
    monkeypatch.setattr(newest, "STRETCH", 5)
    monkeypatch.setattr(GuardedAdmin, "list_per_page", 3)


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


def of(world: World, model: Any = Message) -> set[str]:
    return {str(pk) for pk in model.objects.filter(brand=world.brand).values_list("pk", flat=True)}


def newest_first(ids: set[str]) -> list[str]:
    return sorted(ids, reverse=True)


# --- complete, and nothing else -------------------------------------------------------------------------------------


def test_pages_go_on_without_a_gap_or_a_double_while_rows_arrive(worlds, short_pages):
    amber, birch = worlds
    client, there = signed_in(amber.auditor), newest_first(of(amber))
    seen: list[str] = []
    following: str | None = ""
    while following is not None:
        page = client.get(MESSAGES + following).content.decode()
        seen += shown(page, of(amber))
        following = older(page)
        for world in (amber, birch):
            add_messages(world, ["SENT"] * 2, first=len(seen) * 10)
    assert seen == there


def test_a_rare_thing_is_found_across_short_and_empty_pages_that_say_so(worlds, short_pages):
    amber, _ = worlds
    statuses = ["SENT"] * 30
    statuses[3] = statuses[20] = "EXPIRED"
    rows = add_messages(amber, statuses)
    ids, pages = walked(signed_in(amber.auditor), MESSAGES, of(amber), status="EXPIRED")
    assert ids == [str(rows[20].pk), str(rows[3].pk)]
    assert "Looked at 5 rows" in pages[0]
    assert "none of them matches" in pages[0]
    assert "Looked at" not in pages[-1]


def test_sends_in_trouble_are_found_at_once_however_much_was_sent_since(worlds, short_pages):
    amber, birch = worlds
    for world in worlds:
        lane = world.dead.lane
        Dispatch.objects.bulk_create(
            Dispatch(
                id=new_id(), brand=world.brand, lane=lane, position=(100 + number) << 20, kind="TEXT", state="SENT",
                conversation=world.conversation,
            )
            for number in range(20)
        )  # fmt: skip
    dead = {str(world.dead.pk) for world in worlds}
    every = of(amber, Dispatch) | of(birch, Dispatch)
    for person, expected in ((amber.auditor, {str(amber.dead.pk)}), (make_superuser(), dead)):
        ids, pages = walked(signed_in(person), DISPATCHES, every, state="DEAD")
        assert (ids, len(pages)) == (newest_first(expected), 1)
    ids, pages = walked(signed_in(make_superuser("second")), DISPATCHES, every, state="DEAD", brand=str(birch.brand.pk))
    assert (ids, len(pages)) == ([str(birch.dead.pk)], 1)


@pytest.mark.parametrize("filters", [{}, {"status": "SENT"}, {"direction": "TO_CHANNEL"}, {"since": "day"}])
def test_a_reader_of_very_many_brands_walks_through_all_of_theirs_and_no_other(
    filters, worlds, short_pages, monkeypatch
):
    monkeypatch.setattr(newest, "MOST_BRANCHES", 1)
    amber, birch = worlds
    cedar = make_world(slug="cedar", mark="CEDARXQJ7")
    for number, world in enumerate(itertools.islice(itertools.cycle((amber, birch, cedar)), 12)):
        add_messages(world, ["SENT"], first=number)
    person = make_user("reader")
    for world in (amber, birch):
        Membership.objects.create(user=person, brand=world.brand, role=Role.AUDITOR)
    ids, pages = walked(signed_in(person), MESSAGES, of(amber) | of(birch) | of(cedar), **filters)
    expected = Message.objects.filter(brand__in=[amber.brand, birch.brand])
    expected = expected.filter(**{name: value for name, value in filters.items() if name != "since"})
    assert ids == [str(row.pk) for row in expected.order_by("-pk")]
    assert not any(canary in page for page in pages for canary in cedar.canaries)


def test_every_list_of_records_shows_just_what_the_rule_leaves(worlds):
    """What is walked is limited by the brands of the reader, so no list may be limited by something else besides."""
    for one in admin.site._registry.values():
        if isinstance(one, RecordAdmin):
            assert type(one).get_queryset is GuardedAdmin.get_queryset, one
            assert type(one)._limited is BrandScopedAdmin._limited, one
            assert issubclass(one.get_changelist(None), NewestChangeList), one


# --- cursors ---------------------------------------------------------------------------------------------------------


def test_a_cursor_does_not_tell_the_id_of_a_row_of_another_brand(worlds, short_pages, monkeypatch):
    monkeypatch.setattr(newest, "MOST_BRANCHES", 0)
    amber, birch = worlds
    hidden = add_messages(birch, ["SENT"] * 20)
    link = older(signed_in(amber.auditor).get(MESSAGES).content.decode())
    assert link is not None
    cursor = parse_qs(urlsplit(link).query)["p"][0]
    told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert not [row.pk for row in hidden if row.pk.bytes in told or row.pk.bytes[:6] in told]


def _cursor_of(user: User, address: str) -> str:
    link = older(signed_in(user).get(address).content.decode())
    assert link is not None
    return parse_qs(urlsplit(link).query)["p"][0]


def test_a_cursor_is_of_one_person_one_list_and_its_filters(worlds, short_pages):
    amber, _ = worlds
    cursor = _cursor_of(amber.auditor, MESSAGES)
    for user, address, is_known in (
        (amber.auditor, MESSAGES, True),
        (amber.owner, MESSAGES, False),
        (amber.auditor, DISPATCHES, False),
        (amber.auditor, f"{MESSAGES}?status=SENT", False),
    ):
        page = signed_in(user).get(address, {**parse_filters(address), "p": cursor}).content.decode()
        assert ("not known here" in page) is not is_known, (user, address)


def parse_filters(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@pytest.mark.parametrize("garbage", ["2", "-1", "x" * 5_000, "\x00", "é", "٣", "====", "AAAA", "%00%ff", " "])
def test_a_cursor_that_is_none_leads_to_the_beginning_and_keeps_the_filters(garbage, worlds):
    amber, _ = worlds
    answer = signed_in(amber.auditor).get(MESSAGES, {"p": garbage, "status": "FAILED"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "not known here" in page
    assert shown(page, of(amber)) == [str(amber.failed.pk)]


def test_the_beginning_is_one_click_away(worlds, short_pages):
    amber, _ = worlds
    client = signed_in(amber.auditor)
    add_messages(amber, ["SENT"] * 5)
    first = client.get(MESSAGES, {"direction": "TO_CHANNEL", "since": "day"}).content.decode()
    assert ">Newest<" not in first
    second = client.get(MESSAGES + str(older(first))).content.decode()
    (link,) = re.findall(r'href="([^"]*)">Newest<', second)
    asked = parse_filters(link.replace("&amp;", "&"))
    assert asked == {"direction": "TO_CHANNEL", "since": "day"}


# --- filters and searches --------------------------------------------------------------------------------------------


def test_a_link_to_rows_around_a_hidden_row_finds_nothing_and_goes_nowhere(worlds, short_pages):
    amber, birch = worlds
    add_messages(birch, ["SENT"] * 20)
    client = signed_in(amber.auditor)
    pages = [
        client.get(MESSAGES, {"conversation": wanted}).content.decode()
        for wanted in (str(birch.conversation.pk), str(new_id()))
    ]
    for page in pages:
        assert older(page) is None
        assert not shown(page, of(amber) | of(birch))
    assert AuditEntry.objects.filter(action="access.refused", brand=birch.brand).exists()


def test_what_somebody_is_called_leads_through_all_their_conversations(worlds, short_pages):
    amber, birch = worlds
    for number in range(10):
        Conversation.objects.create(
            brand=amber.brand, account=amber.account, installation=amber.installation, channel=amber.channel,
            consumer=amber.consumer, lp_conversation_id=f"more-{number}", state="CLOSED",
            opened_at=amber.conversation.opened_at,
        )  # fmt: skip
    among = of(amber, Conversation) | of(birch, Conversation)
    ids, _ = walked(signed_in(amber.auditor), CONVERSATIONS, among, q=f"%2B1{amber.mark}")
    assert ids == newest_first(of(amber, Conversation))
    ids, _ = walked(signed_in(amber.auditor), CONVERSATIONS, among, q=f"%2B1{birch.mark}")
    assert ids == []


def test_the_trail_is_searched_by_entry_subject_and_name(worlds):
    amber, birch = worlds
    client, every = signed_in(amber.auditor), of(amber, AuditEntry) | of(birch, AuditEntry)
    entry = AuditEntry.objects.get(brand=amber.brand, action="dispatch.resent")
    for term in (str(entry.pk), str(amber.dead.pk)):
        assert walked(client, TRAIL, every, q=term)[0] == [str(entry.pk)]
    assert str(entry.pk) in walked(client, TRAIL, every, q=amber.owner.username)[0]
    for term in (str(birch.dead.pk), birch.owner.username):
        assert walked(client, TRAIL, every, q=term)[0] == []


# --- what it costs ---------------------------------------------------------------------------------------------------


def statements_of(client: Client, address: str, **asked: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address, asked).status_code == 200
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("filters", [{}, {"status": "SENT"}, {"since": "day"}])
def test_a_list_takes_as_many_statements_with_many_rows_as_with_few(filters, worlds):
    amber, _ = worlds
    client = signed_in(amber.auditor)
    statements_of(client, MESSAGES)
    few = statements_of(client, MESSAGES, **filters)
    add_messages(amber, ["SENT"] * 200)
    many = statements_of(client, MESSAGES, **filters)
    assert len(many) == len(few)
    assert len([sql for sql in many if "conversations_message" in sql]) <= 2
    assert not [sql for sql in many if "COUNT(" in sql.upper()]
