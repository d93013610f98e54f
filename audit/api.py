"""The only writer of the trail."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import structlog
from django.db import connection, models, transaction
from django.utils import timezone

from access.models import Brand
from access.rules import brand_path_of
from audit.actions import ACTIONS
from audit.models import ActorKind, AuditEntry
from core.actor import Actor
from core.ids import first_id_at
from core.redaction import MASK

# What an act on no row in particular was done to.
WHOLE_SITE = "site"
# A shorter name or id is a part of many a word: it counts only where it stands alone.
_LONG_ENOUGH = 3
# What a mask may be laid over: the database's guard lets nothing else be touched (migration 0003).
_WRITTEN_BY_PEOPLE = ("reason", "subject_name")


class UnknownAction(LookupError):
    """An action that audit/actions.py does not list."""


def record(
    action: str,
    *,
    actor: Actor,
    subject: models.Model | None,
    data: dict[str, Any] | None = None,
    reason: str = "",
    brand_id: uuid.UUID | None = None,
) -> AuditEntry:
    """
    Write one entry, in the transaction of the act itself.

    subject: None for the whole site. data: before and after, without secrets, and without what is personal of a
    consumer: it could not be taken out again. brand_id: in whose trail it stands, where the subject itself belongs to
    no brand. Raises UnknownAction for an action that is not registered, and RuntimeError outside a transaction: an act
    and its record stand or fall together.
    """
    if action not in ACTIONS:
        raise UnknownAction(f"{action} is not listed in audit/actions.py.")
    if not connection.in_atomic_block:
        raise RuntimeError(f"{action} was recorded outside the transaction of the act.")
    return AuditEntry.objects.create(
        action=action,
        brand_id=_brand_id(subject) or brand_id,
        actor_kind=ActorKind(actor.kind),
        actor_id=actor.id,
        actor_name=actor.name[:150],
        address=actor.address,
        subject_type=(subject._meta.model_name or "") if subject else WHOLE_SITE,
        subject_id=str(subject.pk) if subject else "",
        subject_name=str(subject)[:200] if subject else "the whole site",
        data=data or {},
        reason=reason[:500],
        correlation_id=str(structlog.contextvars.get_contextvars().get("correlation_id", "")),
    )


def record_once(
    action: str, *, actor: Actor, subject: models.Model, within: timedelta, data: dict[str, Any] | None = None
) -> AuditEntry | None:
    """
    Write one entry, unless the same actor did the same to the same subject a short while ago; then None.

    For what can be done again and again without an effect, so that a loop does not flood the trail. Of two that do it
    at the same moment one is written.
    """
    if not _is_alone(f"{action} {actor.kind} {actor.id} {subject._meta.label} {subject.pk}"):
        return None
    known = AuditEntry.objects.filter(
        subject_type=subject._meta.model_name,
        subject_id=str(subject.pk),
        pk__gte=first_id_at(timezone.now() - within),
        action=action,
        actor_kind=actor.kind,
        actor_id=actor.id,
    )
    return None if known.exists() else record(action, actor=actor, subject=subject, data=data)


def _is_alone(deed: str) -> bool:
    """Until the end of the transaction; whoever comes second does not wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [deed])
        return bool(cursor.fetchone()[0])


def mask(*, subject_type: str, subject_ids: Sequence[str], words: Iterable[str]) -> int:
    """
    Take words out of what people wrote in entries about these subjects: somebody was erased who is named there.

    Who did what and when stays. Returns how many entries it changed.
    """
    pattern = _pattern_of(words)
    changed = 0
    entries: models.QuerySet[AuditEntry] = models.QuerySet(AuditEntry)  # the model's own manager refuses every change
    with _masking():
        for entry in entries.filter(subject_type=subject_type, subject_id__in=subject_ids).select_for_update():
            masked = {name: _masked(name, getattr(entry, name), pattern) for name in _WRITTEN_BY_PEOPLE}
            if masked != {name: getattr(entry, name) for name in masked}:
                entries.filter(pk=entry.pk).update(**masked)
                changed += 1
    return changed


def mask_reasons(*, correlation_ids: Sequence[str], words: Iterable[str]) -> int:
    """
    Take words out of the reasons of all that was done under these ids, which may be very much for one reason.

    Returns how many entries it changed.
    """
    pattern = _pattern_of(words)
    changed = 0
    every: models.QuerySet[AuditEntry] = models.QuerySet(AuditEntry)  # as in mask
    entries = every.filter(~models.Q(correlation_id=""), correlation_id__in=correlation_ids)
    with _masking():
        for reason in list(entries.order_by().values_list("reason", flat=True).distinct()):
            masked = _masked("reason", reason, pattern)
            if masked != reason:
                changed += entries.filter(reason=reason).update(reason=masked)
    return changed


@contextmanager
def _masking() -> Iterator[None]:
    """The database lets words be taken out of entries in here, in this transaction, and at no other time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL connector_site.masking = 'on'")
        yield
        cursor.execute("SET LOCAL connector_site.masking = ''")


def _masked(name: str, text: str, pattern: re.Pattern[str]) -> str:
    text, column = pattern.sub(MASK, text), cast(models.CharField, AuditEntry._meta.get_field(name))
    # A mask may be longer than what it covers: what does not fit any more is masked as a whole.
    return text if len(text) <= (column.max_length or 0) else MASK


def names_any(text: str, words: Iterable[str]) -> bool:
    """Whether a text holds what `mask` would take out of it."""
    return _pattern_of(word.casefold() for word in words).search(text.casefold()) is not None


def _pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(filter(None, words), key=len, reverse=True)
    forms = [re.escape(one) if len(one) >= _LONG_ENOUGH else rf"(?<!\w){re.escape(one)}(?!\w)" for one in longest_first]
    return re.compile("|".join(forms) or r"(?!)", re.IGNORECASE)


def _brand_id(subject: models.Model | None) -> Any:
    if isinstance(subject, Brand):
        return subject.pk
    if subject is None or not hasattr(subject, "brand_path"):
        return None
    return getattr(subject, f"{brand_path_of(type(subject))}_id")


__all__ = ["WHOLE_SITE", "UnknownAction", "mask", "mask_reasons", "names_any", "record", "record_once"]
