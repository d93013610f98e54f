"""The ledger of identities."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection, transaction
from django.utils import timezone

from access.models import Brand
from core.events import ChannelEventIgnored, ConsumerMessage, ConsumerRef, ConsumerTyping, QuickReplyChosen
from core.ids import new_id
from tests.conversations.stand import in_thread
from webhooks import ledger
from webhooks.ledger import Claim, Entry
from webhooks.models import Inbox, Seen


@pytest.fixture
def source(db: None) -> Inbox:
    brand = Brand.objects.create(slug="acme", name="Acme")
    return Inbox.objects.create(id=new_id(), brand=brand)


def claim(
    source: Inbox, identity: str = "c:1:1:x", *, content: bytes = b"a", delivery: uuid.UUID | None = None
) -> Claim:
    entry = Entry(delivery_id=delivery or new_id(), identity=identity, content=content)
    (found,) = ledger.claim(source_id=source.pk, brand_id=source.brand_id, entries=[entry], now=timezone.now())
    return found


def test_several_are_entered_at_once_and_of_equal_ones_the_first_counts(source: Inbox) -> None:
    claim(source, "known", content=b"a")
    first, second = new_id(), new_id()
    entries = [
        Entry(delivery_id=first, identity="new", content=b"a"),
        Entry(delivery_id=first, identity="known", content=b"a"),
        Entry(delivery_id=second, identity="new", content=b"a"),
        Entry(delivery_id=second, identity="known", content=b"b"),
        Entry(delivery_id=second, identity="other", content=b"a"),
        Entry(delivery_id=first, identity="new", content=b"a"),
    ]

    found = ledger.claim(source_id=source.pk, brand_id=source.brand_id, entries=entries, now=timezone.now())

    assert found == [
        Claim.FIRST,
        Claim.DUPLICATE,
        Claim.DUPLICATE,
        Claim.CONFLICT,
        Claim.FIRST,
        Claim.FIRST,
    ]
    assert Seen.objects.count() == 3


def test_the_first_delivery_that_brings_an_identity_has_it(source: Inbox) -> None:
    assert claim(source) is Claim.FIRST


def test_the_same_delivery_has_it_again(source: Inbox) -> None:
    delivery = new_id()

    assert [claim(source, delivery=delivery) for _ in range(3)] == [Claim.FIRST] * 3


def test_another_delivery_brings_a_duplicate(source: Inbox) -> None:
    claim(source)

    assert claim(source) is Claim.DUPLICATE


def test_another_delivery_with_other_content_brings_a_conflict(source: Inbox) -> None:
    claim(source)

    assert claim(source, content=b"b") is Claim.CONFLICT
    assert claim(source) is Claim.DUPLICATE, "the first content is the one that counts"


def test_another_source_has_identities_of_its_own(source: Inbox) -> None:
    other = Inbox.objects.create(id=new_id(), brand=source.brand)
    claim(source)

    assert claim(other) is Claim.FIRST


def test_when_it_was_first_seen_stays(source: Inbox) -> None:
    claim(source)
    first = Seen.objects.get().seen_at

    claim(source)

    assert Seen.objects.get().seen_at == first


def test_an_identity_of_any_length_takes_sixteen_bytes(source: Inbox) -> None:
    claim(source, "x" * 100_000)

    seen = Seen.objects.get()
    assert (len(bytes(seen.digest)), len(bytes(seen.content_digest))) == (16, 16)


def test_an_identity_may_hold_any_character(source: Inbox) -> None:
    assert claim(source, "c:\x00:👋🏽:\u2028") is Claim.FIRST


def test_a_claim_waits_for_one_that_is_being_made_and_takes_over_when_it_is_undone(transactional_db: None) -> None:
    brand = Brand.objects.create(slug="acme", name="Acme")
    source = Inbox.objects.create(id=new_id(), brand=brand)
    found: list[Claim] = []
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        claim(source)
        thread = in_thread(lambda: found.append(claim(source)))
        thread.join(0.2)
        assert thread.is_alive(), "it waits for our transaction"
        raise ZeroDivisionError
    thread.join()

    assert found == [Claim.FIRST]


def test_what_has_an_identity_beyond_its_request(source: Inbox) -> None:
    who = ConsumerRef(id="ada")
    facts = {"identity": "i", "consumer": who, "occurred_at": None}

    assert ledger.is_lasting(ConsumerMessage(**facts, message_id="m"))
    assert ledger.is_lasting(QuickReplyChosen(**facts, message_id="m", choice="c"))
    assert not ledger.is_lasting(ConsumerTyping(**facts, on=True))
    assert not ledger.is_lasting(ChannelEventIgnored(**facts, why="?"))


def test_a_claim_is_one_statement(source: Inbox, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        claim(source)
    assert connection.vendor == "postgresql"
