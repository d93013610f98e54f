"""
Bad input, class J: the forms of the admin. Every field of every form with odd values, sent by somebody who may: four of
them a field, other ones in the next field, and with LONG=1 all of them in each.

An answer is a page or a redirect within the site, never an error of ours; and after all of it the form works.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from tests.access.conftest import whole_stage
from tests.access.forms import fields_of, filled_in
from tests.access.matrix import Stage, undone
from tests.access.pages import addresses, models_with, pages_of
from tests.access.route_rules import Rule
from tests.inputs import budget

__all__ = ["whole_stage"]

ODD = [
    "", " ", "\x00", "a\x00b", "\u202ex", "\ufffe", "x" * 10_000, "9" * 5_000, "-1", "0", "٣", "null", "[]", '{"a":',
    "[" * 3_000, '{"a":NaN}', "<script>alert(1)</script>", "' OR 1=1 --", "../../etc/passwd", "a\r\nX-Injected: 1",
    "javascript:alert(1)", "https://[::1", "{{7*7}}", "01900000-0000-7000-8000-000000000000",
]  # fmt: skip
MODELS = models_with(Rule.ADD, Rule.ROW, Rule.DEED)
of_models = pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])


@pytest.fixture
def stage(whole_stage: Stage, db: None) -> Iterator[Stage]:
    yield whole_stage


@of_models
def test_every_field_of_every_form_with_odd_values(stage: Stage, model: Any, record_property: Any) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(stage.amber.owner)
    count = 0
    for ruled in pages_of(model, Rule.ADD, Rule.ROW, Rule.DEED):
        for url in addresses(ruled, stage.amber):
            page = client.get(url)
            if page.status_code != 200 or page.streaming:
                continue
            fields = fields_of(page.content)
            form = filled_in(fields, stage.amber)
            for name in [field.name for field in fields if field.name not in ("csrfmiddlewaretoken", "s")]:
                for value in odd_values(count):
                    with undone():
                        assert_whole(client.post(url, {**form, name: value}), value)
                    count += 1
            with undone():
                assert_whole(client.post(url, form), "")
    record_property("forms", count)


def odd_values(number: int) -> list[str]:
    """number: of what has been asked so far; each four begin where the last ended."""
    return ODD if budget.IS_LONG else [ODD[(number + place) % len(ODD)] for place in range(4)]


def assert_whole(answer: Any, value: str) -> None:
    assert answer.status_code in (200, 302, 400, 403, 404, 405), answer.content[:300]
    if answer.status_code == 302:
        assert not urlsplit(answer["Location"]).netloc
    if "<script>" in value:
        assert value not in answer.content.decode("utf-8", "replace")


# Where signing in may lead: nowhere but to this site.
NEXT = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\tevil.example",
    "/\n/evil.example",
    "//evil.example:80",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    "http://[::1]/",
    "http://[",
    "\x00",
    "ü",
    " //evil.example",
    "%2f%2fevil.example",
    "x" * 10_000,
    "/admin/\r\nX-Injected: 1",
]


@pytest.mark.parametrize("where", NEXT)
def test_signing_in_leads_nowhere_else(stage: Stage, where: str) -> None:
    person = stage.amber.owner
    person.set_password("a password that is long")
    person.save(update_fields=["password"])
    client = Client(raise_request_exception=False)

    answer = client.post(
        f"{reverse('admin:login')}",
        {"username": person.username, "password": "a password that is long", "next": where},
    )

    assert answer.status_code in (302, 400), answer.content[:200]
    if answer.status_code == 302:
        # As a browser reads it: backslashes are slashes, tabs and line breaks are nothing.
        read = re.sub(r"[\t\r\n]", "", answer["Location"]).replace("\\", "/").strip()
        assert urlsplit(urljoin("http://testserver/admin/login/", read)).netloc == "testserver"
    assert "X-Injected" not in answer.headers


@pytest.mark.parametrize("field", ["username", "password"])
def test_signing_in_with_odd_words_is_refused_like_any_other(stage: Stage, field: str) -> None:
    for place, value in enumerate(ODD):
        given = {"username": stage.amber.owner.username, "password": "wrong", field: value}
        # Each from elsewhere: after a few from one place nothing is looked at any more.
        client = Client(raise_request_exception=False, REMOTE_ADDR=f"192.0.2.{place}")
        answer = client.post(reverse("admin:login"), given)
        assert answer.status_code in (200, 400), value[:20]
        assert "<script>alert" not in answer.content.decode("utf-8", "replace")


DOMAINS = {
    "a path": "https://api.liveperson.net/x",
    "a user": "https://u:p@api.liveperson.net",
    "a fragment": "https://api.liveperson.net#x",
    "a query": "https://api.liveperson.net?x",
    "another scheme": "ftp://api.liveperson.net",
    "an empty query": "https://api.liveperson.net?",
    "plain http": "http://api.liveperson.net",
    "somebody else's": "https://evil.example",
    "a look-alike": "https://api.l\u0456veperson.net",
    "punycode": "https://xn--lveperson-q2a.net",
    "ours in front": "https://api.liveperson.net.evil.example",
    "line breaks": "https://api.liveperson.net\r\nX: 1",
    "a blank": "https://api.live person.net",
    "a port beyond": "https://api.liveperson.net:99999",
    "half an IPv6": "https://[::1",
    "the cloud": "https://169.254.169.254",
    "this machine": "https://localhost",
    "NUL": "https://api.liveperson.net\x00",
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_that_must_not_be_asked_is_refused_beside_its_field(stage: Stage, settings: Any, name: str) -> None:
    settings.ALLOW_PRIVATE_OUTBOUND = False
    world = stage.amber
    client = Client(raise_request_exception=False)
    client.force_login(world.operator)
    form = {"brand": str(world.brand.pk), "lp_account_id": "87654321", "name": "", "domain_api": DOMAINS[name]}

    answer = client.post(reverse("admin:installations_account_add"), form)

    assert answer.status_code == 200
    page = html.unescape(answer.content.decode())
    assert "errorlist" in page or "Please correct" in page
    assert not type(world.account).objects.filter(lp_account_id="87654321").exists()
