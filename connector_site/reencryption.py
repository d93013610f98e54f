"""
Moving stored secrets to the newest key, while everything runs.

A value is replaced only if it still is the one that was read: whoever writes a secret meanwhile wins. What is under the
newest key already is left alone, so a run that was stopped goes on where it was, and a second run does nothing.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import F

from access.models import Brand
from access.rules import brand_path_of
from audit import api as audit
from core.actor import Actor
from core.encryption import SealBroken
from core.vault import key_ring

BATCH = 500
_PASSES = 5


@dataclass(kw_only=True)
class Report:
    """
    moved: by table. newest_already: found under the newest key at first. unreadable: rows whose key is missing or that
    were tampered with. remaining: still written under an older key when the last pass ended.
    """

    moved: Counter[str] = field(default_factory=Counter)
    newest_already: int = 0
    unreadable: list[dict[str, str]] = field(default_factory=list)
    remaining: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.unreadable and not self.remaining

    def as_json(self) -> dict[str, Any]:
        return {
            "moved": self.moved.total(),
            "newest_already": self.newest_already,
            "unreadable": self.unreadable,
            "remaining": self.remaining,
            "tables": {model._meta.db_table: self.moved[model._meta.db_table] for model in sealed_models()},
        }


def sealed_models() -> list[type[models.Model]]:
    """Every model that keeps a secret: a column `sealed`, bound to its row by `seal_context`."""
    return [model for model in apps.get_models() if hasattr(model, "seal_context")]


def reencrypt(*, actor: Actor) -> Report:
    """
    Move every secret to the newest key. Each batch is one transaction with its record in the trail.

    It goes over all secrets until it finds nothing more to do: a process that has not been restarted may have written
    one under an older key behind its back.
    """
    report = Report()
    for number in range(_PASSES):
        found = _pass(actor=actor)
        report.moved += found.moved
        report.unreadable, report.remaining = found.unreadable, found.remaining
        if number == 0:
            report.newest_already = found.newest_already
        if not found.moved and not found.remaining:
            return report
    report.remaining += found.moved.total()
    return report


def _pass(*, actor: Actor) -> Report:
    report = Report()
    for model in sealed_models():
        for rows in _batches(model):
            _move(model, rows, actor=actor, report=report)
    return report


def _batches(model: type[models.Model]) -> Iterator[list[Any]]:
    owned = model._default_manager.exclude(sealed=None).annotate(owner_id=F(f"{brand_path_of(model)}_id"))
    last: Any = None
    while True:
        newer = owned if last is None else owned.filter(pk__gt=last)
        rows = list(newer.order_by("pk")[:BATCH])
        if not rows:
            return
        yield rows
        last = rows[-1].pk


@transaction.atomic
def _move(model: type[models.Model], rows: list[Any], *, actor: Actor, report: Report) -> None:
    table = model._meta.db_table
    by_brand: Counter[uuid.UUID] = Counter()
    for row in rows:
        if key_ring().is_newest(row.sealed):
            report.newest_already += 1
            continue
        try:
            fresh = key_ring().seal(key_ring().open(row.sealed, context=row.seal_context), context=row.seal_context)
        except SealBroken:
            report.unreadable.append({"table": table, "id": str(row.pk)})
            continue
        if model._default_manager.filter(pk=row.pk, sealed=row.sealed).update(sealed=fresh):
            by_brand[row.owner_id] += 1
        else:
            report.remaining += 1
    for brand in Brand.objects.filter(pk__in=by_brand):
        audit.record(
            "secrets.reencrypted", actor=actor, subject=brand, data={"table": table, "count": by_brand[brand.pk]}
        )
    if by_brand:
        report.moved[table] += by_brand.total()
