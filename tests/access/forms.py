"""The forms of a page as a browser would send them, and the same with ids of another brand put in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.db import models

from tests.factories import World


@dataclass(kw_only=True)
class Field:
    """value: what the browser would send. offered: the values of its options."""

    name: str
    value: str | None = None
    offered: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fields: dict[str, Field] = {}
        self._select: Field | None = None
        self._text: Field | None = None
        self._is_posted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._is_posted = (given.get("method") or "").lower() == "post"
        name = given.get("name") or ""
        if tag == "option" and self._select is not None:
            self._option(self._select, given)
        elif not self._is_posted or not name:
            return
        elif tag == "select":
            self._select = self.fields.setdefault(name, Field(name=name))
        elif tag == "textarea":
            self._text = self.fields.setdefault(name, Field(name=name, value=""))
        elif tag == "input":
            self._input(name, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag == "textarea":
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.value = (self._text.value or "") + data

    def _option(self, select: Field, given: dict[str, str | None]) -> None:
        value = given.get("value") or ""
        select.offered.append(value)
        if "selected" in given or select.value is None:
            select.value = value

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        kind, value = given.get("type", "text"), given.get("value") or ""
        if kind in ("submit", "button", "file", "image"):
            return
        one = self.fields.setdefault(name, Field(name=name))
        if kind in ("checkbox", "radio"):
            one.offered.append(value or "on")
            if "checked" in given:
                one.value = value or "on"
        else:
            one.value = value


def fields_of(page: bytes) -> list[Field]:
    """The fields of all forms of a page that are sent by POST."""
    reader = _Reader()
    reader.feed(page.decode())
    return list(reader.fields.values())


# What a person would type into fields that start empty.
_TYPED = {
    "lp_account_id": "87654321",
    "client_id": "0f5b2c1e-4d3a-4b6c-9e8f-a1b2c3d4e5f6",
    "first_secret": "typed-client-secret",
    "name": "Typed",
    "username": "nobody",
    "reason": "Because",
    "config_url": "https://typed.example.com/in",
}
_NOT_OF_THE_ROW = {"csrfmiddlewaretoken", "s"}


def filled_in(fields: list[Field], own: World | None = None) -> dict[str, str]:
    """
    What a browser would send once a person has filled in what was empty.

    own: the brand whose rows are chosen where there is a choice.
    """
    ids = {str(row.pk) for row in own.rows} if own else set()
    sent = {}
    for one in fields:
        chosen = next((value for value in one.offered if value in ids), None)
        value = one.value or chosen or _TYPED.get(one.name) or one.value
        if value is not None:
            sent[one.name] = value
    return sent


def has_something_to_fill_in(fields: list[Field]) -> bool:
    return any(one.name not in _NOT_OF_THE_ROW for one in fields)


def forgeries(fields: list[Field], model: type[models.Model], own: World, other: World) -> Iterator[dict[str, Any]]:
    """
    The form with ids of another brand: in each field that takes an id, one after another and all together, and in
    fields that the form does not have but the model does.
    """
    plain, kinds = filled_in(fields, own), {str(row.pk): type(row) for row in own.rows}
    forged = {}
    for one in fields:
        kind = next((kinds[value] for value in [one.value or "", *one.offered] if value in kinds), None)
        row = other.row_of(kind) if kind else None
        if row is not None:
            forged[one.name] = str(row.pk)
    smuggled = {name: value for name, value in _keys_of(model, other).items() if name not in plain}
    for changes in (*({name: value} for name, value in forged.items()), forged, smuggled, {**forged, **smuggled}):
        if changes:
            yield {**plain, **changes}


def _keys_of(model: type[models.Model], world: World) -> dict[str, str]:
    found = {"id": "", "pk": "", "is_superuser": "on", "is_staff": "on"}
    for one in model._meta.get_fields():
        if isinstance(one, models.ForeignKey) and (row := world.row_of(one.related_model)):
            found[one.name] = found[one.attname] = str(row.pk)
    row = world.row_of(model)
    found["id"] = found["pk"] = str(row.pk) if row else ""
    return found
