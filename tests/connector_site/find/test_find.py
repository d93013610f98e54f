"""Finding by any id: what is found, what is not, and what the trail says of it afterwards."""

from __future__ import annotations

import re
from typing import Any

import pytest
import structlog
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import api as audit
from audit.models import AuditEntry
from connector_site.find.lookups import LOOKUPS
from connector_site.find.service import MOST_OF_A_KIND
from connector_site.find.terms import read_term
from conversations.models import Consumer, Conversation, Dialog, Dispatch, Message
from conversations.services.erasure import erase_consumer
from core.actor import COMMAND
from core.ids import new_id
from core.vault import search_hash
from installations.models import Account, Channel
from tests.access.keys import Program
from tests.admin_pages import signed_in
from tests.connector_site.plans import hide_statistics
from tests.factories import World, make_superuser, make_two_brands
from webhooks.models import Delivery, Inbox

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/find/"
BAD_BODIES: list[Any] = [
    b"", b"{", b"[]", b"null", b'"x"', b"7", b"\xff\xfe", b"[" * 60_000, b"{}", b'{"term": ""}', b'{"term": "   "}',
    b'{"term": null}', b'{"term": 5}', b'{"term": ["x"]}', b'{"term": "a\\u0000b"}', b'{"term": "a\\ud800b"}',
    b'{"term": NaN}', b'{"term": "x", "brand": "y"}', b'{"\\ud800": "y"}', b'{"term": "' + b"x" * 10_240 + b'"}',
    b'{"term": "' + b"x" * 100_000 + b'"}', b'{"term": ' + b"9" * 5_000 + b"}", b'\xef\xbb\xbf{"term": "x"}',
]  # fmt: skip


def ask(program: Client, term: str) -> dict[str, Any]:
    answer = program.post(ADDRESS, {"term": term}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = answer.json()
    return told


def found(program: Client, term: str) -> set[tuple[str, str]]:
    return {(one["kind"], one["id"]) for one in ask(program, term)["found"]}


# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_person_is_found_by_phone_number_however_it_is_written(amber: World, program: Program) -> None:
    told = {}
    for stored in ("+15550177", "0015550188", "15550199"):
        told[stored] = Consumer.objects.create(
            brand=amber.brand, account=amber.account, channel=amber.channel, ext_consumer_id=f"x:{stored}",
            channel_consumer_id=stored, search_hash=search_hash(stored),
        )  # fmt: skip
    for stored, consumer in told.items():
        last = stored[-2:]
        for typed in (f"+1 (555) 01{last}", f"001-555-01{last}", f"155501{last}", f"amber:+155501{last}"):
            assert found(program, typed) == {("consumer", str(consumer.pk))}, (stored, typed)


def test_every_kind_of_id_leads_to_its_row(amber: World, program: Program) -> None:
    survey = Dialog.objects.create(conversation=amber.conversation, lp_dialog_id="survey-7", type="POST_SURVEY")
    sent = Dispatch.objects.exclude(provider_ids=[]).get()
    asked = Delivery.objects.exclude(request_identity="").get()
    entry = AuditEntry.objects.filter(action="dispatch.resent").get()
    for term, wanted in (
        (amber.consumer.channel_consumer_id, ("consumer", amber.consumer)),
        (amber.consumer.ext_consumer_id, ("consumer", amber.consumer)),
        (amber.consumer.lp_consumer_id, ("consumer", amber.consumer)),
        (amber.conversation.lp_conversation_id, ("conversation", amber.conversation)),
        (survey.lp_dialog_id, ("conversation", amber.conversation)),
        (amber.from_consumer.channel_message_id, ("message", amber.from_consumer)),
        (sent.provider_ids[0], ("dispatch", sent)),
        (asked.request_identity, ("delivery", asked)),
        (amber.account.lp_account_id, ("account", amber.account)),
        (amber.installation.client_id, ("installation", amber.installation)),
        *((str(row.pk), (kind, row)) for kind, row in (
            ("consumer", amber.consumer), ("conversation", amber.conversation), ("message", amber.from_agent),
            ("dispatch", amber.dead), ("delivery", asked), ("audit-entry", entry),
            ("account", amber.account), ("installation", amber.installation), ("channel", amber.channel),
        )),
    ):  # fmt: skip
        assert found(program, term) == {(wanted[0], str(wanted[1].pk))}, term


def test_a_correlation_id_leads_to_all_that_carries_it(amber: World, program: Program) -> None:
    delivery = Delivery.objects.first()
    assert delivery is not None
    Message.objects.filter(pk=amber.from_agent.pk).update(correlation_id=delivery.pk)
    Dispatch.objects.filter(pk=amber.unknown.pk).update(correlation_id=delivery.pk)
    with structlog.contextvars.bound_contextvars(correlation_id=str(delivery.pk)):
        entry = audit.record("dispatch.resent", actor=COMMAND, subject=amber.dead)
    wanted = {
        ("delivery", str(delivery.pk)), ("message", str(amber.from_agent.pk)), ("dispatch", str(amber.unknown.pk)),
        ("audit-entry", str(entry.pk)),
    }  # fmt: skip
    assert found(program, str(delivery.pk)) == wanted
    assert found(program, str(delivery.pk).upper()) == wanted


def test_the_answer_says_why_and_where_to_read_on(amber: World, program: Program) -> None:
    (one,) = ask(program, amber.from_consumer.channel_message_id)["found"]
    assert one["why"] == "the channel's own id of it"
    assert one["brand"] == str(amber.brand.pk)
    assert program.get(one["links"]["self"]).json()["id"] == one["id"]
    assert program.get(one["links"]["trace"]).json()["id"] == one["id"]
    (person,) = ask(program, amber.consumer.channel_consumer_id)["found"]
    assert program.get(person["links"]["messages"]).json()["results"]


def test_of_many_the_newest_are_told_and_that_there_are_more(amber: World, program: Program) -> None:
    given = {
        "brand": amber.brand, "consumer": amber.consumer, "channel": amber.channel, "direction": "TO_CHANNEL",
        "sender_role": "AGENT", "status": "QUEUED", "occurred_at": amber.from_agent.occurred_at,
        "correlation_id": "together",
    }  # fmt: skip
    made = [Message.objects.create(**given, lp_sequence=100 + place) for place in range(MOST_OF_A_KIND + 1)]
    told = ask(program, "together")
    assert [one["id"] for one in told["found"]] == [str(row.pk) for row in reversed(made)][:MOST_OF_A_KIND]
    assert told["more"] == ["message"]
    made[0].delete()
    assert ask(program, "together")["more"] == []


# --- what is not -----------------------------------------------------------------------------------------------------


def test_an_erased_person_is_found_by_nothing(amber: World, program: Program) -> None:
    known = (amber.consumer.channel_consumer_id, amber.consumer.ext_consumer_id, amber.consumer.lp_consumer_id)
    assert all(found(program, term) for term in known)
    Conversation.objects.filter(pk=amber.conversation.pk).update(state="CLOSED")
    erase_consumer(consumer_id=amber.consumer.pk, actor=COMMAND, reason="asked for")
    assert [found(program, term) for term in known] == [set(), set(), set()]


def test_what_is_hidden_reads_like_what_does_not_exist() -> None:
    amber, birch = make_two_brands()
    program = Program(amber.auditor)
    nothing = {"found": [], "more": []}
    assert ask(program, "no-such-thing") == nothing
    for term in (
        birch.consumer.channel_consumer_id, birch.conversation.lp_conversation_id, str(birch.from_agent.pk),
        birch.from_consumer.channel_message_id, f"p-{birch.mark}", f"corr-{birch.mark}", f"req-{birch.mark}",
        str(birch.dead.pk),
    ):  # fmt: skip
        assert ask(program, term) == nothing, term
        assert ask(Program(birch.auditor), term)["found"], term


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_is_refused_with_a_sentence(program: Program, body: bytes) -> None:
    answer = program.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    told = answer.json()
    assert sorted(told) == ["code", "correlation_id", "detail"]
    assert told["detail"].endswith(".")
    assert len(told["detail"]) < 300


def test_other_ways_of_asking_are_refused(program: Program) -> None:
    for method in ("get", "put", "patch", "delete", "options", "head"):
        assert getattr(program, method)(ADDRESS).status_code == 405, method
    assert program.post(ADDRESS, {"term": "x"}).status_code == 415
    assert program.post(f"{ADDRESS}?term=x", {"term": "x"}, content_type="application/json").status_code == 400
    assert Client().post(ADDRESS, {"term": "x"}, content_type="application/json").status_code == 401


# --- what it costs, and what stays of it -----------------------------------------------------------------------------


def test_finding_takes_as_many_statements_whatever_is_found(amber: World, program: Program) -> None:
    def statements(term: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            ask(program, term)
        return len([one for one in asked.captured_queries if 'audit_auditentry" (' not in one["sql"]])

    few = statements(str(amber.dead.pk))
    Message.objects.update(correlation_id=str(amber.dead.pk))
    assert statements(str(amber.dead.pk)) == few


# Which column of which index each lookup has to enter with the term.
INDEXES = {
    "consumer: its id on the channel": "search_hash",
    "consumer: LivePerson's id of the consumer": "lp_consumer_id",
    "conversation: its LivePerson conversation id": "lp_conversation_id",
    "conversation: LivePerson's id of a dialog in it": "lp_dialog_id",
    "message: the channel's own id of it": "channel_message_id",
    "message: its correlation id": "correlation_id",
    "dispatch: the channel's id of what was sent": "provider_ids",
    "dispatch: its correlation id": "correlation_id",
    "delivery: the sender's own id of the request": "request_identity",
    "audit-entry: its correlation id": "correlation_id",
    "account: LivePerson's id of the account": "lp_account_id",
    "installation: its client id": "client_id",
}


@pytest.mark.parametrize("lookup", LOOKUPS, ids=lambda one: f"{one.kind}: {one.why}")
def test_every_lookup_enters_an_index_with_the_term(amber: World, lookup: Any) -> None:
    """That the condition stands in the index, not behind it: small tables would be read whole, whatever there is."""
    column = INDEXES.get(f"{lookup.kind}: {lookup.why}", "id")
    term = read_term(str(new_id()))
    hide_statistics(*{model._meta.db_table for model in (lookup.model, Account, Channel, Dialog, Inbox)})
    for reader in (amber.auditor, make_superuser()):
        rows = lookup.rows(term, reader).order_by(f"-{lookup.newest}", "-pk")[:51]
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            plan = rows.explain()
        assert re.search(rf"Index Cond: .*(?<!\w){column}(\)::text)? (=|@>) ", plan), plan
        assert "Seq Scan" not in plan


def test_that_something_was_found_stands_in_the_trail_of_its_brand_without_the_term() -> None:
    amber, birch = make_two_brands()
    Message.objects.update(correlation_id="shared-by-two")
    ask(Program(make_superuser()), "shared-by-two")
    entries = AuditEntry.objects.filter(action="find.asked")
    assert {entry.brand_id for entry in entries} == {amber.brand.pk, birch.brand.pk}
    for entry in entries:
        assert entry.data == {"found": {"message": Message.objects.filter(brand=entry.brand_id).count()}}
        assert "shared" not in f"{entry.data} {entry.reason} {entry.subject_name} {entry.actor_name}"
    ask(Program(amber.auditor), birch.mark)
    assert AuditEntry.objects.filter(action="find.asked").count() == 2


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_leads_to_what_is_found(amber: World) -> None:
    client = signed_in(amber.auditor)
    empty = client.get("/admin/find/").content.decode()
    assert "a person" in empty
    assert "Nothing that you may see" not in empty
    for term, row in (
        (amber.consumer.channel_consumer_id, amber.consumer),
        (amber.conversation.lp_conversation_id, amber.conversation),
        (f"p-{amber.mark}", Dispatch.objects.exclude(provider_ids=[]).get()),
        (f"req-{amber.mark}", Delivery.objects.exclude(request_identity="").get()),
        (str(AuditEntry.objects.filter(action="channel.created").get().pk),
         AuditEntry.objects.filter(action="channel.created").get()),
    ):  # fmt: skip
        answer = client.post("/admin/find/", {"term": term})
        assert answer.status_code == 200
        url = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
        assert url in answer.content.decode(), term
        assert client.get(url).status_code == 200
    assert "Nothing that you may see is called this." in client.post("/admin/find/", {"term": "nix"}).content.decode()


@pytest.mark.parametrize("term", ["", "   ", "x" * 10_240, "a\x00b", "\x1b", "\u2028\u2029", "%", "\U0001f98a"])
def test_the_page_answers_odd_terms_with_a_sentence(amber: World, term: str) -> None:
    answer = signed_in(amber.auditor).post("/admin/find/", {"term": term})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "Give " in text or "characters" in text or "Nothing that you may see" in text


def test_the_page_takes_no_term_in_its_address(amber: World) -> None:
    text = (
        signed_in(amber.auditor).get("/admin/find/", {"term": amber.conversation.lp_conversation_id}).content.decode()
    )
    assert amber.conversation.lp_conversation_id not in text
