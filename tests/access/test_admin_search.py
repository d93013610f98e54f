"""Searches of lists: what somebody looks for is found, and stands in no address."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from tests.admin_pages import signed_in, url_of
from tests.factories import World, make_world

pytestmark = pytest.mark.django_db

CONSUMERS = "admin:conversations_consumer_changelist"


@pytest.fixture
def world() -> World:
    return make_world(slug="amber", mark="AMBERQ7")


def test_what_is_looked_for_stands_in_no_address(world):
    client, number = signed_in(world.auditor), world.consumer.channel_consumer_id
    listed = reverse(CONSUMERS, query={"channel": str(world.channel.pk), "p": "old"})

    answer: Any = client.post(listed, {"q": f" {number} "}, follow=True)

    page = answer.content.decode()
    ((address, _),) = answer.redirect_chain
    assert number not in address
    assert number.lstrip("+") not in address
    assert f"channel={world.channel.pk}" in address
    assert "p=old" not in address
    assert url_of(world.consumer) in page
    assert f'value="{number}"' in page
    links = re.findall(r'(?:href|action)="([^"]*)"', page)
    assert not [link for link in links if number.lstrip("+") in link]


def test_the_form_of_a_search_is_sent_and_not_asked_for(world):
    page = signed_in(world.auditor).get(reverse(CONSUMERS)).content.decode()
    assert re.search(r'<form id="changelist-search"[^>]*method="post"', page)


@pytest.mark.parametrize("term", ["", "  ", "\0", "x" * 100_000, "~", "~AAAA", "~\u00e9", "a\ud7ff\u202e"])
def test_odd_searches_find_nothing_and_break_nothing(term, world):
    client = signed_in(world.auditor)
    sent: Any = client.post(reverse(CONSUMERS), {"q": term}, follow=True)
    asked = client.get(reverse(CONSUMERS), {"q": term[:5_000]})
    assert (sent.status_code, asked.status_code) == (200, 200)
    assert len(sent.redirect_chain[0][0]) < 3_000


def test_what_a_search_found_is_what_an_action_is_done_to(world):
    listed = reverse("admin:conversations_dispatch_changelist")
    answer: Any = signed_in(world.operator).post(listed, {"q": str(world.dead.pk)})
    chosen = {"action": "resend_together", "index": "0", "select_across": "1", "_selected_action": "all"}
    page: Any = signed_in(world.operator).post(answer["Location"], chosen, follow=True)
    assert "Nothing has been done yet" in page.content.decode()
    assert url_of(world.dead) in page.content.decode()
