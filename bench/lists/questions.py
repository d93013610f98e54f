"""What is asked: every list of the API, without a filter, by each of its filters, and by some pairs of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import django_filters

# Words of long lists of choices that stand for the others: frequent, rare, never.
_WORDS = {
    "error_code": ("unanswered", "request_rejected", "consumer_gone"),
    "since": ("day",),
    "action": ("dispatch.dropped", "account.changed"),
    "subject_type": ("dispatch", "lane"),
}
_PAIRS = {
    "messages": ({"status": "FAILED", "direction": "TO_LIVEPERSON"}, {"kind": "RICH", "status": "READ"}),
    "dispatches": ({"state": "DEAD", "kind": "TEXT"}, {"state": "SENT", "kind": "OPEN"}),
    "attempts": ({"step": "SEND", "outcome": "UNANSWERED"},),
    "deliveries": ({"state": "DEAD", "since": "month"},),
    "conversations": ({"state": "OPEN", "since": "month"},),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One address. filters: as they stand in the query."""

    resource: str
    filters: dict[str, str] = field(default_factory=dict)
    named: str = ""

    @property
    def path(self) -> str:
        return f"/api/v1/{self.resource}/"

    @property
    def name(self) -> str:
        return f"{self.resource} {self.named}".strip()


def questions(*, middle: datetime) -> Iterator[Question]:
    """Each list alone, by each of its filters, and by some pairs of them. middle: of the history that there is."""
    from connector_site.api_urls import router

    for resource, view, _ in router.registry:
        if not hasattr(view, "filterset_class"):
            continue
        yield Question(resource=resource)
        for name, one in view.filterset_class.base_filters.items():
            for told, value in _values(name, one, middle):
                yield Question(resource=resource, filters={name: value}, named=f"{name}={told}")
        for pair in _PAIRS.get(resource, ()):
            yield Question(resource=resource, filters=pair, named=" ".join(f"{k}={v}" for k, v in pair.items()))


def _values(name: str, one: Any, middle: datetime) -> Iterator[tuple[str, str]]:
    from access.rest.filters import IdOf

    if isinstance(one, IdOf):
        yield from ((told, str(row_id)) for told, row_id in _rows(one._model, middle))
    elif isinstance(one, django_filters.ChoiceFilter):
        words = [str(word) for word, _ in one.extra["choices"]]
        yield from ((word, word) for word in _WORDS.get(name, words))
    elif name in ("created_before", "created_after"):
        yield "middle", middle.isoformat().replace("+00:00", "Z")
    else:
        yield from ((value, value) for value in _sample(name))


def _rows(model: Any, middle: datetime) -> Iterator[tuple[str, Any]]:
    """Of brands and connectors the large and the small; of what is many, one from the middle of the history."""
    from core.ids import first_id_at

    told = model._meta.model_name
    if told == "brand":
        yield from ((slug, model.objects.get(slug=slug).pk) for slug in ("big", "small"))
    elif told == "channel":
        first, second = (
            model.objects.filter(brand__slug="big").order_by("id").values_list("account_id", flat=True)[:4:3]
        )
        yield "large", model.objects.get(account_id=first, name="sms").pk
        yield "little", model.objects.get(account_id=second, name="app").pk
        yield "silent", model.objects.get(account_id=first, name="web").pk
        yield "of small", model.objects.get(brand__slug="small").pk
        yield "of gone", model.objects.get(brand__slug="gone").pk
    elif told in ("account", "appinstallation"):
        yield "large", model.objects.filter(brand__slug="big").order_by("id")[0].pk
        yield "of small", model.objects.get(brand__slug="small").pk
    else:
        rows = model.objects.filter(brand__slug="big", pk__lt=first_id_at(middle)).order_by("-pk")
        yield "one", rows.values_list("pk", flat=True)[0]


def _sample(name: str) -> list[str]:
    """Of a column of free words: what stands in the newest row."""
    from audit.models import AuditEntry

    newest = AuditEntry.objects.order_by("-id").values().first() or {}
    return [str(newest[name])] if newest.get(name) else []


def deep_moment(begins: datetime, *, fewest_messages: int) -> datetime:
    """Where deep pages begin: so near the end that below it every size of the table holds the same rows."""
    from bench.lists.load import PACE
    from bench.lists.rows import TURNS

    history: timedelta = PACE * (fewest_messages // TURNS)
    return begins + history / 6
