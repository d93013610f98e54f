"""A legal hold keeps everything of a consumer or a brand, and nothing else."""

from __future__ import annotations

import pytest
from django.core.files.storage import default_storage

from access import services as access
from audit.models import AuditEntry
from conversations.media import storage_path
from conversations.models import Attempt, Consumer, MediaFile, MessageContent
from conversations.services import holds
from core.errors import ConfigurationError
from tests.conversations.stand import ADA, Stand
from tests.webhooks.removals import BEN, EVE, disk_of_its_own, facts, on_disk, prune, talked, two_people
from webhooks.models import DeliveryBody, Seen

__all__ = ["disk_of_its_own", "talked", "two_people"]  # fixtures


def speaking_of(number: str) -> int:
    return sum(number.encode() in bytes(raw) for raw in DeliveryBody.objects.values_list("raw", flat=True))


def test_a_hold_on_a_consumer_keeps_all_that_is_theirs_and_nothing_else(two_people: Stand) -> None:
    ada = Consumer.objects.get(channel_consumer_id=ADA)
    holds.hold_consumer(consumer_id=ada.pk, actor=EVE, reason="case 12")
    of_ada, contents = speaking_of(ADA), MessageContent.objects.filter(message__consumer=ada).count()
    at_liveperson = two_people.conversation_of(ADA)["id"]
    from_liveperson = speaking_of(at_liveperson)
    assert of_ada >= 2
    assert from_liveperson >= 3
    assert speaking_of(BEN) == 1

    prune(days=200)

    assert MessageContent.objects.filter(message__consumer=ada).count() == contents
    assert MediaFile.objects.count() == 2
    assert all(default_storage.exists(storage_path(one.pk)) for one in MediaFile.objects.all())
    assert (speaking_of(ADA), speaking_of(at_liveperson)) == (of_ada, from_liveperson)
    assert set(Attempt.objects.filter(dispatch__lane__consumer=ada).values_list("answer_head", flat=True)) == {
        "an answer"
    }
    assert Consumer.objects.get(pk=ada.pk).name == "Ada"
    assert speaking_of(BEN) == 0
    assert not MessageContent.objects.exclude(message__consumer=ada).exists()

    holds.lift_hold_of_consumer(consumer_id=ada.pk, actor=EVE, reason="settled")
    prune(days=200)

    assert not DeliveryBody.objects.exists()
    assert not MessageContent.objects.exists()
    assert not MediaFile.objects.exists()
    acts = AuditEntry.objects.filter(subject_id=str(ada.pk)).order_by("id")
    assert [(one.action, one.reason) for one in acts] == [
        ("consumer.hold_set", "case 12"),
        ("consumer.hold_lifted", "settled"),
    ]
    assert not any("Ada" in one.subject_name or ADA in one.subject_name for one in acts)


def test_a_hold_on_a_brand_keeps_everything_of_it(two_people: Stand) -> None:
    brand = two_people.onboarded.brand
    access.hold_brand(brand, actor=EVE, reason="case 13")
    before = (facts(), on_disk(), DeliveryBody.objects.count(), MessageContent.objects.count(), Seen.objects.count())

    assert prune(days=500) == {}

    after = (facts(), on_disk(), DeliveryBody.objects.count(), MessageContent.objects.count(), Seen.objects.count())
    assert after == before
    assert set(Attempt.objects.values_list("answer_head", flat=True)) == {"an answer"}

    access.lift_hold_of_brand(brand, actor=EVE, reason="settled")
    assert set(prune(days=500)) == {
        "message_contents", "files", "delivery_bodies", "answers_of_providers", "identities",
    }  # fmt: skip
    acts = AuditEntry.objects.filter(action__startswith="brand.hold").order_by("id")
    assert [one.action for one in acts] == ["brand.hold_set", "brand.hold_lifted"]


def test_a_hold_is_put_and_lifted_once(two_people: Stand) -> None:
    ada, brand = Consumer.objects.get(channel_consumer_id=ADA), two_people.onboarded.brand
    with pytest.raises(ConfigurationError, match="No legal hold"):
        holds.lift_hold_of_consumer(consumer_id=ada.pk, actor=EVE, reason="-")
    with pytest.raises(ConfigurationError, match="No legal hold"):
        access.lift_hold_of_brand(brand, actor=EVE, reason="-")
    holds.hold_consumer(consumer_id=ada.pk, actor=EVE, reason="case")
    access.hold_brand(brand, actor=EVE, reason="case")
    with pytest.raises(ConfigurationError, match="already"):
        holds.hold_consumer(consumer_id=ada.pk, actor=EVE, reason="case")
    with pytest.raises(ConfigurationError, match="already"):
        access.hold_brand(brand, actor=EVE, reason="case")
    ada.refresh_from_db()
    assert (ada.held_by, ada.hold_reason, ada.is_held) == ("eve", "case", True)
