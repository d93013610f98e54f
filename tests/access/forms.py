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


def filled_in(fields: list[Field]) -> dict[str, str]:
    """What a browser would send."""
    return {one.name: one.value for one in fields if one.value is not None}


def forgeries(fields: list[Field], model: type[models.Model], own: World, other: World) -> Iterator[dict[str, Any]]:
    """
    The form with ids of another brand: in each field that takes an id, one after another and all together, and in
    fields that the form does not have but the model does.
    """
    plain, kinds = filled_in(fields), {str(row.pk): type(row) for row in own.rows}
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
