"""Every page of the admin, as who runs the site sees it: new routes are walked by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import models
from django.http import HttpResponse
from django.test import Client

from tests.access.pages import RULED, deeds_of
from tests.access.route_rules import Rule, Ruled
from tests.factories import World

# These answer with no page: a script, choices for a widget, a search that is switched off, whatever is mistyped.
_NO_PAGES = ("admin/jsi18n/", "admin/autocomplete/", "admin/search/", "admin/logout/", r"admin/(?P<url>.*)$")
# What an earlier answer wanted to say would stand on the next page, whichever that is.
_MESSAGES = "messages"


@dataclass(frozen=True, kw_only=True)
class Page:
    """kind: which page it is, whatever row it is about."""

    kind: str
    url: str
    answer: HttpResponse

    @property
    def html(self) -> str:
        return self.answer.content.decode()


def pages(client: Client, world: World, *, at_most: int) -> Iterator[Page]:
    """Each page that there is, of so many rows that have it at the most."""
    seen: Counter[str] = Counter()
    for kind, url in _addresses(world):
        if seen[kind] < at_most:
            client.cookies.pop(_MESSAGES, None)
            answer = client.get(url)
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
                seen[kind] += 1
                yield Page(kind=kind, url=url, answer=answer)


def _addresses(world: World) -> Iterator[tuple[str, str]]:
    for ruled in RULED:
        text = ruled.route.text
        if not text.startswith("admin/") or text in _NO_PAGES or "^" in text:
            continue
        if not ruled.route.parameters:
            yield text, ruled.route.url()
            continue
        for row in (row for row in world.rows if type(row) is ruled.model):
            yield from _about(ruled, row)


def _about(ruled: Ruled, row: models.Model) -> Iterator[tuple[str, str]]:
    row_id, text = str(row.pk), ruled.route.text
    if ruled.rule is Rule.ROW and not text.endswith(("/change/", "/rotation/")):
        return  # leads to the page of the row, or to the trail
    if "deed_name" not in ruled.route.parameters:
        yield text, ruled.route.url(object_id=row_id, pk=row_id, id=row_id)
        return
    for name in deeds_of(type(row)):
        if name != "nonsense":
            yield f"{text}{name}", ruled.route.url(object_id=row_id, deed_name=name)
