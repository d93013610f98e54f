"""Dead letters, applied and sent again by hand: each once, in order, within its brand, in the trail."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from access.models import User
from audit.models import AuditEntry
from conversations.models import Conversation, Dispatch, DispatchState, Message
from core.actor import Actor
from core.ids import new_id
from tests.conversations.notifications import said
from tests.conversations.stand import Door, in_thread, known_conversation, make_door
from tests.factories import make_two_brands
from tests.webhooks.work import apply_all
from webhooks import repairs
from webhooks.models import Delivery, DeliveryState
from webhooks.repairs import NotPossible

EVE = Actor(kind="PERSON", id="7", name="eve")


def run(*arguments: str, status: int = 0) -> dict[str, Any]:
    out = io.StringIO()
    try:
        call_command("dead_letters", *arguments, stdout=out)
        ended = 0
    except SystemExit as end:
        ended = int(str(end.code))
    assert ended == status
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def texts() -> list[str]:
    return [one.content.text for one in Message.objects.order_by("id")]


@pytest.fixture
def conversation(door: Door) -> Conversation:
    return known_conversation(door, lp_id="c-1")


def dead(door: Door, *numbers: int) -> list[Delivery]:
    """Deliveries that workers have given up."""
    for number in numbers:
        door.notify(said("c-1", number, f"text {number}"))
    Delivery.objects.filter(state=DeliveryState.STORED).update(state=DeliveryState.DEAD, start_count=3, detail="Broke.")
    return list(Delivery.objects.order_by("id"))


# --- one -------------------------------------------------------------------------------------------------------------


def test_a_dead_delivery_is_applied_again_and_the_trail_says_who_and_why(
    door: Door, conversation: Conversation
) -> None:
    (delivery,) = dead(door, 1)
    OrmQ.objects.all().delete()

    repairs.apply_again(delivery_id=delivery.pk, actor=EVE, reason="mended")

    delivery.refresh_from_db()
    assert (delivery.state, delivery.start_count, delivery.detail) == (DeliveryState.STORED, 0, "")
    assert OrmQ.objects.count() == 1, "a worker was woken"
    apply_all()
    assert texts() == ["text 1"]
    act = AuditEntry.objects.get(action="delivery.reapplied")
    assert (act.actor_name, act.reason, act.subject_id) == ("eve", "mended", str(delivery.pk))
    assert (act.data, act.brand_id) == ({"state": "DEAD"}, delivery.brand_id)


def test_what_another_delivery_has_brought_meanwhile_has_no_second_effect(
    door: Door, conversation: Conversation
) -> None:
    (delivery,) = dead(door, 1)
    door.notify(said("c-1", 1, "text 1"))
    apply_all()

    repairs.apply_again(delivery_id=delivery.pk, actor=EVE)
    apply_all()

    assert texts() == ["text 1"]
    assert delivery.events.get().outcome == "DUPLICATE"


def test_a_quarantined_message_of_a_channel_that_came_mended_meanwhile_is_applied_once(door: Door) -> None:
    facts = {"id": "m-1", "consumer": {"id": "ada"}, "text": "Hello"}
    assert door.tell("message.received", {**facts, "text": 7}).status_code == 400
    assert door.tell("message.received", facts).status_code == 200
    apply_all()
    refused = Delivery.objects.get(state=DeliveryState.QUARANTINED)

    repairs.apply_again(delivery_id=refused.pk, actor=EVE)
    apply_all()

    refused.refresh_from_db()
    assert refused.state == DeliveryState.QUARANTINED
    assert texts() == ["Hello"]


@pytest.mark.parametrize("state", [DeliveryState.STORED, DeliveryState.PROCESSED])
def test_what_waits_or_was_applied_is_not_applied_again(door: Door, conversation: Conversation, state: str) -> None:
    (delivery,) = dead(door, 1)
    Delivery.objects.update(state=state)

    with pytest.raises(NotPossible):
        repairs.apply_again(delivery_id=delivery.pk, actor=EVE)

    assert not AuditEntry.objects.filter(action="delivery.reapplied").exists()


def test_without_its_body_there_is_nothing_to_apply(door: Door, conversation: Conversation) -> None:
    (delivery,) = dead(door, 1)
    delivery.body.delete()

    with pytest.raises(NotPossible, match="expired"):
        repairs.apply_again(delivery_id=delivery.pk, actor=EVE)

    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.DEAD


def test_two_people_at_once_have_it_applied_once(transactional_db: None) -> None:
    door = make_door()
    known_conversation(door, lp_id="c-1")
    (delivery,) = dead(door, 1)
    refused = []

    def act() -> None:
        try:
            repairs.apply_again(delivery_id=delivery.pk, actor=EVE)
        except NotPossible as refusal:
            refused.append(refusal)

    for thread in [in_thread(act) for _ in range(4)]:
        thread.join()

    assert len(refused) == 3
    assert AuditEntry.objects.filter(action="delivery.reapplied").count() == 1


# --- by the admin ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_deed_is_for_those_alone_who_may_repair_and_only_in_their_own_brand() -> None:
    own, other = make_two_brands()
    delivery = Delivery.objects.get(brand=own.brand, state=DeliveryState.QUARANTINED)
    page = reverse("admin:webhooks_delivery_change", args=[delivery.pk])
    deed = reverse("admin:webhooks_delivery_do", kwargs={"object_id": delivery.pk, "deed_name": "apply-again"})

    def as_(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    assert deed not in as_(own.auditor).get(page).content.decode()
    assert as_(own.auditor).post(deed, {"reason": "a test"}).status_code == 403
    assert as_(other.owner).post(deed, {"reason": "a test"}).status_code == 404
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.QUARANTINED

    client = as_(own.owner)
    assert deed in client.get(page).content.decode()
    assert client.post(deed, {"reason": ""}).status_code == 200, "asks for the reason"
    assert client.post(deed, {"reason": "a test"}).status_code == 302
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.STORED
    assert deed not in client.get(page).content.decode()


# --- by command ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_list_names_dead_letters_of_both_ways_and_nothing_that_a_person_said() -> None:
    own, other = make_two_brands()

    told = run("list")
    assert {one["state"] for one in told["deliveries"]} == {"QUARANTINED"}
    assert {one["state"] for one in told["dispatches"]} == {"DEAD", "PARKED"}
    assert {one["brand"] for one in told["deliveries"]} == {own.brand.slug, other.brand.slug}
    assert told["has_more"] is False
    assert "Words of" not in json.dumps(told)

    mine = run("list", "--brand", own.brand.slug)
    assert {one["id"] for one in mine["dispatches"]} == {str(own.dead.pk), str(own.parked.pk)}
    assert {one["brand"] for one in mine["deliveries"]} == {own.brand.slug}
    assert run("list", "--brand", own.brand.slug, "--kind", "delivery")["dispatches"] == []
    assert [one["id"] for one in run("list", "--id", str(own.dead.pk))["dispatches"]] == [str(own.dead.pk)]


@pytest.mark.django_db
def test_retry_of_one_brand_touches_no_other_and_a_second_does_nothing() -> None:
    own, other = make_two_brands()
    before = run("list", "--brand", other.brand.slug)

    done = run("retry", "--brand", own.brand.slug, "--reason", "a test")

    assert set(done["dispatches"]) == {str(own.dead.pk), str(own.parked.pk)}
    assert len(done["deliveries"]) == 1
    assert done["refused"] == []
    assert set(Dispatch.objects.filter(pk__in=done["dispatches"]).values_list("state", "possible_duplicate")) == {
        (DispatchState.QUEUED, False),
        (DispatchState.QUEUED, True),
    }
    assert run("list", "--brand", other.brand.slug) == before
    acts = AuditEntry.objects.filter(reason="a test")
    assert sorted(acts.values_list("action", "actor_kind")) == [
        ("delivery.reapplied", "COMMAND"),
        ("dispatch.resent", "COMMAND"),
        ("dispatch.resent", "COMMAND"),
    ]

    again = run("retry", "--brand", own.brand.slug, "--reason", "a test")
    assert again == {"deliveries": [], "dispatches": [], "refused": []}


def test_retry_keeps_the_order(door: Door, conversation: Conversation) -> None:
    dead(door, 1, 2, 3)

    run("retry", "--brand", "acme", "--reason", "a test")
    apply_all()

    assert texts() == ["text 1", "text 2", "text 3"]


def test_what_is_refused_is_said_and_the_others_are_applied(door: Door, conversation: Conversation) -> None:
    first, second = dead(door, 1, 2)
    first.body.delete()
    unknown = str(new_id())

    told = run("retry", "--id", str(first.pk), str(second.pk), unknown, "--reason", "a test", status=1)

    assert told["deliveries"] == [str(second.pk)]
    assert [one["id"] for one in told["refused"]] == [str(first.pk), unknown]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [["retry", "--reason", "all of them"], ["list", "--brand", "nobody"], ["retry", "--brand", "nobody"]],
    ids=["nothing named", "unknown brand", "no reason"],
)
def test_what_is_not_said_clearly_does_nothing(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("dead_letters", *arguments)
