"""Pages of the inbox: what arrived is shown as text, whatever it is."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.urls import reverse

from conversations.models import Message
from tests.admin_pages import signed_in, url_of
from tests.factories import World
from webhooks.models import Delivery, DeliveryBody, Event

pytestmark = pytest.mark.django_db


def page_of(world: World, delivery: Delivery) -> str:
    answer = signed_in(world.auditor).get(url_of(delivery))
    assert answer.status_code == 200
    return answer.content.decode()


def body_on(page: str) -> str:
    return page.rpartition('<pre class="cs-block" tabindex="0">')[2].partition("</pre>")[0]


def with_body(world: World, raw: bytes) -> Delivery:
    delivery = Delivery.objects.filter(brand=world.brand).first()
    DeliveryBody.objects.filter(pk=delivery.pk).update(raw=raw)
    return delivery


def test_a_delivery_shows_its_events_what_they_did_and_the_message(world):
    event = Event.objects.filter(brand=world.brand, message_id=world.from_agent.pk).get()
    page = page_of(world, event.delivery)
    for fact in (event.type, event.get_outcome_display(), event.detail, event.lp_conversation_id):
        assert fact in page
    assert reverse("admin:conversations_message_change", args=[world.from_agent.pk]) in page
    assert bytes(event.delivery.sha256).hex() in page


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b'{"a": "<script>alert(1)</script>"}', '"a": "<script>alert(1)</script>"'),
        (b"\xff\xfe not text", "\\xff\\xfe not text"),
        (b'{"half": "\\ud83d"}', "\\ud83d"),
        (b"[" * 40_000, "[[[["),
        ('{"name": "a\u202eb"}'.encode(), "RLO"),
        (b'{"zero": "\\u0000"}', "zero"),
        (b"", ""),
        (b'{"number": 1e400, "nan": NaN}', "number"),
        (b'{"long": ' + b"9" * 6000 + b"}", "999"),
    ],
    ids=["markup", "no utf-8", "half a pair", "deep", "turned", "nul", "empty", "no number", "long number"],
)
def test_any_body_is_shown_as_text_and_as_nothing_else(raw, shown, world):
    page = page_of(world, with_body(world, raw))
    body = body_on(page)
    assert shown in html.unescape(body)
    assert "<script>alert" not in body
    assert "\u202e" not in body


def test_a_long_body_is_cut_and_says_so(world):
    page = page_of(world, with_body(world, b'"' + b"x" * 200_000 + b'"'))
    assert "Cut here" in page
    assert len(page) < 200_000


def test_an_expired_body_says_so(world):
    delivery = Delivery.objects.filter(brand=world.brand).first()
    DeliveryBody.objects.filter(pk=delivery.pk).delete()
    assert "It was removed by retention" in page_of(world, delivery)


def test_why_a_delivery_is_quarantined_stands_in_list_and_page(world):
    delivery = Delivery.objects.get(brand=world.brand, state="QUARANTINED")
    assert delivery.detail in page_of(world, delivery)
    listed = signed_in(world.auditor).get(reverse("admin:webhooks_delivery_changelist"), {"state": "QUARANTINED"})
    assert delivery.detail in listed.content.decode()


@pytest.mark.parametrize("asked", [{"state": "DEAD"}, {"since": "hour"}, {"q": "x"}])
def test_filters_and_search_work(asked: dict[str, Any], world):
    assert signed_in(world.auditor).get(reverse("admin:webhooks_delivery_changelist"), asked).status_code == 200


def test_nobody_changes_or_deletes_what_arrived(world):
    client = signed_in(world.owner)
    delivery = Delivery.objects.filter(brand=world.brand).first()
    for name in ("change", "delete"):
        url = reverse(f"admin:webhooks_delivery_{name}", args=[delivery.pk])
        assert client.post(url, {"post": "yes", "state": "DEAD"}).status_code == 403
    assert client.get(reverse("admin:webhooks_delivery_add")).status_code == 403
    assert Message.objects.filter(pk=world.from_agent.pk).exists()
