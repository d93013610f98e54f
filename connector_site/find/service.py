"""Finding: all lookups for one term, and the record that somebody asked."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from access.models import Brand, User
from audit import api as audit
from connector_site.find.lookups import LOOKUPS
from connector_site.find.terms import read_term
from core.actor import Actor

MOST_OF_A_KIND = 50


@dataclass(frozen=True, kw_only=True)
class Found:
    """One row. why: what the term is to it. at: when it was made."""

    kind: str
    resource: str
    id: uuid.UUID
    brand_id: uuid.UUID | None
    why: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Answer:
    """found: by kind, the newest of each first. more: the kinds of which there are more than are told."""

    found: Sequence[Found]
    more: Sequence[str]


@transaction.atomic
def find(term: object, *, reader: User, actor: Actor) -> Answer:
    """
    Everything that the reader sees and that is called this. Raises terms.BadTerm.

    In the trail of each brand in which something was found stands who asked, and how much of what was found; the term
    itself, which may be somebody's phone number, stands nowhere.
    """
    understood = read_term(term)
    opened = reader.key.resources if reader.key is not None else ()
    by_kind: dict[str, dict[uuid.UUID, Found]] = defaultdict(dict)
    more = set()
    for lookup in LOOKUPS:
        if opened and lookup.resource not in opened:
            continue
        rows = lookup.found(understood, reader, most=MOST_OF_A_KIND + 1)
        if len(rows) > MOST_OF_A_KIND:
            more.add(lookup.kind)
        for row_id, brand_id, at in rows:
            one = Found(kind=lookup.kind, resource=lookup.resource, id=row_id, brand_id=brand_id, why=lookup.why, at=at)
            by_kind[lookup.kind].setdefault(row_id, one)
    found: list[Found] = []
    for kind, rows_of_kind in by_kind.items():
        newest = sorted(rows_of_kind.values(), key=lambda one: (one.at, one.id), reverse=True)
        if len(newest) > MOST_OF_A_KIND:
            more.add(kind)
        found += newest[:MOST_OF_A_KIND]
    _record(found, actor)
    return Answer(found=found, more=sorted(more))


def _record(found: Sequence[Found], actor: Actor) -> None:
    counts: dict[uuid.UUID, Counter[str]] = defaultdict(Counter)
    for one in found:
        if one.brand_id is not None:
            counts[one.brand_id][one.kind] += 1
    for brand in Brand.objects.filter(pk__in=counts).order_by("pk"):
        audit.record("find.asked", actor=actor, subject=brand, data={"found": dict(counts[brand.pk])})


__all__ = ["MOST_OF_A_KIND", "Answer", "Found", "find"]
