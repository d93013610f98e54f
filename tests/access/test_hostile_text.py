"""What strangers wrote, on every page of the admin: it is shown, and becomes no element, no attribute and no script."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, models, transaction

from audit.models import AuditEntry
from tests.access.walk import pages
from tests.admin_pages import signed_in
from tests.factories import World, make_superuser, make_world

pytestmark = pytest.mark.django_db

MARKUP = "\"'><xssprobe onxssprobe=1>"
TURNED = "a\u202eb"
STACKED = "e" + "\u0301" * 9
SCRIPT = "javascript:xssprobe()"
TEXT = f"{MARKUP}{TURNED}{STACKED}</script><!--{{{{7*7}}}}"
OURS = {"access", "audit", "installations", "conversations", "webhooks", "connector_site"}
# Words of ours: no stranger can write them, and code chooses by them.
WORDS_OF_OURS = {
    ("Channel", "kind"),
    ("Channel", "type"),
    ("AuditEntry", "action"),
    ("AuditEntry", "subject_type"),
}
# Consumers, providers, LivePerson. The rest is written by people who work here, whom the trail names: of theirs too no
# markup may come through, but it may turn and stack.
WRITTEN_BY_STRANGERS = {"conversations", "webhooks"}
_numbers = count()
# A form shows what stands in its fields as it is: to be corrected there.
AS_IT_IS = {"textarea", "option", "title"}


class Injected(HTMLParser):
    """Reads a page as a browser does, and notes what a stranger's text has become."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = [*self._inside, tag] if tag not in ("input", "br", "meta", "link", "img", "hr") else self._inside
        if "xssprobe" in tag:
            self.found.append(f"the element {tag}")
        for name, value in attrs:
            self._look_at(tag, name, value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            del self._inside[len(self._inside) - 1 - self._inside[::-1].index(tag) :]

    def handle_data(self, text: str) -> None:
        if self._inside and self._inside[-1] in AS_IT_IS:
            return
        if self._inside and self._inside[-1] == "script" and "xssprobe" in text:
            self.found.append(f"a script: {text[:80]}")
        if "\u202e" in text:
            self.found.append(f"turned text in {self._inside[-1:]}: {text[:80]!r}")
        if re.search("\u0301{5}", text):
            self.found.append(f"stacked marks in {self._inside[-1:]}: {text[:80]!r}")

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if "xssprobe" in name:
            self.found.append(f"the attribute {name} of {tag}")
        # The admin's library runs what stands in these.
        if name.startswith(("x-", ":", "@", "hx-on", "on")) and "xssprobe" in value:
            self.found.append(f"run by {name} of {tag}: {value[:80]}")
        if name in ("href", "src", "action", "formaction", "hx-get", "hx-post") and re.match(r"\s*javascript:", value):
            self.found.append(f"a script in {name} of {tag}")
        if name == "style" and "xssprobe" in value:
            self.found.append(f"a style of {tag}")


def injected(html: str) -> list[str]:
    reader = Injected()
    reader.feed(html)
    return reader.found


def soil(world: World) -> int:
    """Put hostile text wherever a stranger's might stand; returns into how many fields."""
    soiled = 0
    for model in {type(row) for row in world.rows} - {AuditEntry}:  # which the database lets nobody change
        if model._meta.app_label in OURS:
            fields = [field for field in model._meta.concrete_fields if _takes_text(model, field)]
            rows = models.QuerySet(model).filter(pk__in=[row.pk for row in world.rows if type(row) is model])
            soiled += sum(_soil(row, field) for row in rows for field in fields)
    return soiled


def _soil(row: models.Model, field: Any) -> bool:
    changed = models.QuerySet(type(row)).filter(pk=row.pk)
    try:
        with transaction.atomic():
            return bool(changed.update(**{field.attname: _hostile(field, row)}))
    except IntegrityError:
        return False  # the database itself says what may stand there


def _takes_text(model: type[models.Model], field: Any) -> bool:
    if field.primary_key or field.is_relation or field.choices:
        return False
    name = (model._meta.object_name, field.name)
    return name not in WORDS_OF_OURS and isinstance(field, (models.CharField, models.TextField, models.JSONField))


def _hostile(field: Any, row: models.Model) -> Any:
    if isinstance(field, models.JSONField):
        return _hostile_inside(getattr(row, field.attname))
    if "url" in field.name or "domain" in field.name:
        return SCRIPT
    # Begins with another number in each row: two rows must not have the same id.
    text = f"{next(_numbers)}{TEXT if row._meta.app_label in WRITTEN_BY_STRANGERS else MARKUP}"
    return text[: field.max_length] if field.max_length else text


def _hostile_inside(value: Any) -> Any:
    if isinstance(value, str):
        return TEXT
    if isinstance(value, list):
        return [_hostile_inside(one) for one in value]
    return {name: _hostile_inside(one) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    ("html", "many"),
    [
        ("<p>&quot;&gt;&lt;xssprobe&gt;</p>", 0),
        (f"<p>{MARKUP}</p>", 2),
        (f'<p title="{MARKUP}">', 2),
        ("<div x-data=\"{a: 'xssprobe'}\">", 1),
        ("<a href=' javascript:x'>", 1),
        (f"<p>{TURNED}</p><textarea>{TURNED}</textarea>", 1),
        (f"<b>{STACKED}</b>", 1),
    ],
)
def test_what_counts_as_injected(html, many):
    assert len(injected(html)) == many


def test_no_text_of_a_stranger_becomes_more_than_text_on_any_page():
    assert {model._meta.app_label for model in apps.get_models()} >= OURS - {"connector_site"}
    world = make_world(slug="amber", mark="Amberly")
    client = signed_in(make_superuser())
    assert soil(world) > 100
    found, seen = [], 0
    for page in pages(client, world, at_most=3):
        seen += "xssprobe" in page.html
        found += [f"{page.url}: {what}" for what in injected(page.html)]
    assert found == [], "\n".join(found)
    assert seen > 20
