"""
Pausing and resuming: the platform, a brand, an app installation, a channel, one consumer's lanes; each with its record
in the trail.

What arrives is stored as ever; what is paused waits in its lane, in order, and uses up no try. How workers keep to it:
docs/decisions/0012-pauses.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from django.contrib.postgres.functions import TransactionNow
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from access.models import Brand
from audit import api as audit
from core.actor import SYSTEM, Actor
from core.errors import ConfigurationError
from core.redaction import MASK
from installations import tokens
from installations.connectors import forget_connectors
from installations.models import AppInstallation, Channel, Pause, PausedDirection, PauseScope, State
from installations.signals import pause_ended, sending_resumed

RowT = TypeVar("RowT", bound=models.Model)

logger = structlog.get_logger(__name__)

_LONGEST = timedelta(days=366)
_OVER = "Its time was over."

_MODELS: dict[PauseScope, type[models.Model]] = {
    PauseScope.BRAND: Brand,
    PauseScope.INSTALLATION: AppInstallation,
    PauseScope.CHANNEL: Channel,
}


class NotPossible(ConfigurationError):
    """It is not in a state in which this can be done; the text says why."""


def take_in(scope: PauseScope, model: type[models.Model]) -> None:
    """Let rows of a package above be paused. Where they are called something personal, they have a `nameless` twin."""
    _MODELS[scope] = model


def scope_of(row: models.Model | None) -> PauseScope:
    """What a pause of this row is put on; None is the whole platform."""
    if row is None:
        return PauseScope.PLATFORM
    return next(scope for scope, model in _MODELS.items() if isinstance(row, model))


def own_pauses(row: models.Model | None) -> models.QuerySet[Pause]:
    """The pauses in force that were put on this very row."""
    return Pause.objects.filter(scope=scope_of(row), target_id=row.pk if row else None, ended_at=None)


# --- acts ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def pause(
    row: models.Model | None,
    *,
    actor: Actor,
    reason: str,
    direction: PausedDirection = PausedDirection.BOTH,
    until: datetime | None = None,
) -> Pause:
    """
    Keep whatever is sent for this row, or for the whole platform where there is none, from being begun.

    until: when it ends by itself. Raises NotPossible where it is paused already, or disabled, or until is no time that
    lies ahead, and for a consumer who has been erased.
    """
    _check_until(until)
    if not reason.strip():
        raise NotPossible("Say why it is paused: it is read by whoever wonders that nothing is sent.")
    if any(PausedDirection(known.direction).covers(direction) for known in own_pauses(row)):
        raise NotPossible("It is paused already.")
    is_whole = direction == PausedDirection.BOTH
    # Whoever erases the person at this moment comes before: the reason, which may name them, would stay.
    if row is not None and _is_person(row) and lock(row).erased_at is not None:  # type: ignore[attr-defined]
        raise NotPossible("This consumer has been erased: nothing is sent any more.")
    if isinstance(row, (AppInstallation, Channel)):
        if lock(row).state == State.DISABLED:
            raise NotPossible("It is disabled: nothing is sent anyway.")
        if is_whole:
            write_state(row, State.PAUSED, reason)
    put_on = _open(row, actor=actor, reason=reason, direction=direction, until=until)
    _record("paused", row, [put_on], actor=actor, reason=reason)
    return put_on


@transaction.atomic
def resume(row: models.Model | None, *, actor: Actor, reason: str = "") -> list[Pause]:
    """End every pause that was put on this very row. Raises NotPossible where there is none."""
    asleep = row if isinstance(row, (AppInstallation, Channel)) and lock(row).state == State.PAUSED else None
    ended = end_all(row, actor=actor, reason=reason)
    if not ended and asleep is None:
        raise NotPossible("It is not paused itself.")
    if asleep is not None:
        activate(asleep)
    _record("resumed", row, ended, actor=actor, reason=reason)
    return ended


@transaction.atomic
def end(pause_id: uuid.UUID, *, actor: Actor, reason: str = "") -> Pause:
    """End one pause. Raises NotPossible where it has ended already."""
    found = Pause.objects.get(pk=pause_id)
    row = _row_of(found)
    if isinstance(row, (AppInstallation, Channel)):
        row = lock(row)
    ended = _close(Pause.objects.filter(pk=pause_id, ended_at=None), actor=actor, reason=reason)
    if not ended:
        raise NotPossible("It has ended already.")
    is_whole = found.direction == PausedDirection.BOTH
    if isinstance(row, (AppInstallation, Channel)) and is_whole and row.state == State.PAUSED:
        activate(row)
    _record("resumed", row, ended, actor=actor, reason=reason)
    return ended[0]


def end_those_over() -> bool:
    """End the pauses whose time is over; whether there were any. Called every second."""
    over = list(Pause.objects.filter(ended_at=None, until__lte=TransactionNow()).values_list("pk", flat=True))
    for pause_id in over:
        try:
            end(pause_id, actor=SYSTEM, reason=_OVER)
        except NotPossible:
            pass  # somebody was faster
    return bool(over)


def lock(row: RowT) -> RowT:
    """Take the row until the transaction ends; always before its pauses, so that nobody waits in a circle."""
    # Not the key: what refers to the row meanwhile need not wait.
    found: RowT = type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
    return found


def end_all(row: models.Model | None, *, actor: Actor, reason: str) -> list[Pause]:
    """End every pause of a row, without an entry in the trail: the caller writes what was done."""
    return _close(own_pauses(row), actor=actor, reason=reason)


def forget_person(row: models.Model, *, words: Collection[str], actor: Actor) -> None:
    """End the pauses of a person who is erased, and take these words out of all that they ever had."""
    end_all(row, actor=actor, reason="The consumer was erased.")
    for one in Pause.objects.filter(scope=scope_of(row), target_id=row.pk):
        masked = {name: MASK for name in ("reason", "end_reason") if audit.names_any(getattr(one, name), words)}
        Pause.objects.filter(pk=one.pk).update(**masked)


def keep_for_itself(row: AppInstallation | Channel, *, detail: str) -> None:
    """The site pauses it by itself. The caller has written its state, and writes the trail."""
    if not own_pauses(row).filter(direction=PausedDirection.BOTH).exists():
        _open(row, actor=SYSTEM, reason=detail or "The site paused it.", direction=PausedDirection.BOTH, until=None)


def write_state(row: AppInstallation | Channel, state: State, reason: str, *, paused_for: str = "") -> None:
    """Store in which state it is, and why."""
    row.state = state
    row.state_reason = reason[:300]
    row.paused_for = paused_for
    fields = ["state", "state_reason", "paused_for"]
    if isinstance(row, AppInstallation):
        row.state_changed_at = timezone.now()
        fields.append("state_changed_at")
    row.save(update_fields=fields)
    forget_connectors()


def activate(row: AppInstallation | Channel) -> None:
    """Let it send again; what has waited goes out in its order. The caller holds the row, and writes the trail."""
    write_state(row, State.ACTIVE, "")
    if isinstance(row, AppInstallation):
        tokens.forget(row.pk)
    installation_id = row.installation_id if isinstance(row, Channel) else row.pk
    sending_resumed.send(sender=type(row), installation_id=installation_id)


# --- steps -----------------------------------------------------------------------------------------------------------


def _check_until(until: datetime | None) -> None:
    now = timezone.now()
    if until is None:
        return
    if until <= now:
        raise NotPossible("That time is over. Choose one that lies ahead, or none.")
    if until - now > _LONGEST:
        raise NotPossible("Choose a time within a year, or none: then it lasts until somebody resumes it.")


def _open(
    row: models.Model | None, *, actor: Actor, reason: str, direction: PausedDirection, until: datetime | None
) -> Pause:
    scope = scope_of(row)
    try:
        with transaction.atomic():
            return Pause.objects.create(
                brand_id=_brand_id(row),
                scope=scope,
                target_id=row.pk if row else None,
                target_name="" if row is None or _is_person(row) else str(row)[:128],
                direction=direction,
                reason=reason.strip()[:300],
                until=until,
                by_name=actor.name[:150],
                by_id=actor.id[:64],
            )
    except IntegrityError:
        raise NotPossible("Somebody has paused it just now.") from None


def _close(pauses: models.QuerySet[Pause], *, actor: Actor, reason: str) -> list[Pause]:
    """For themselves: whoever puts a lane to sleep for one of them comes before, or sees that it has ended."""
    ended = list(pauses.select_for_update(of=("self",)))
    for one in ended:
        one.ended_at, one.ended_by, one.end_reason = timezone.now(), actor.name[:150], reason[:300]
        one.save(update_fields=["ended_at", "ended_by", "end_reason"])
        pause_ended.send(sender=Pause, pause=one)
    return ended


def _record(done: str, row: models.Model | None, pauses: list[Pause], *, actor: Actor, reason: str) -> None:
    """done: paused or resumed."""
    noun = scope_of(row).value.lower()
    facts = [
        {"pause": str(one.pk), "direction": one.direction, "until": one.until.isoformat() if one.until else ""}
        for one in pauses
    ]
    data: dict[str, Any] = facts[0] if len(facts) == 1 else {"pauses": facts}
    audit.record(f"{noun}.{done}", actor=actor, subject=getattr(row, "nameless", row), data=data, reason=reason)
    logger.info(f"{noun}.{done}", id=str(row.pk) if row else "", directions=[str(one.direction) for one in pauses])


def _is_person(row: models.Model) -> bool:
    return hasattr(row, "nameless")


def _row_of(pause: Pause) -> models.Model | None:
    if pause.scope == PauseScope.PLATFORM:
        return None
    return _MODELS[PauseScope(pause.scope)]._default_manager.get(pk=pause.target_id)


def _brand_id(row: models.Model | None) -> uuid.UUID | None:
    if row is None:
        return None
    brand_id: uuid.UUID = row.pk if isinstance(row, Brand) else row.brand_id  # type: ignore[attr-defined]
    return brand_id
