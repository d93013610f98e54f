"""
A rotation of secrets: add the new one, see by which of them webhooks verify, retire the old one when it is silent.

Two are valid meanwhile. A third is refused on the pages: nobody could tell any more which of them is the old one.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.actor import Actor
from core.errors import ConfigurationError, CredentialsRejected
from core.moments import in_utc
from installations import pausing, services
from installations.connectors import client_for
from installations.models import AppInstallation, Channel
from installations.secret_use import QUIET, KnownSecret, is_out_of_use, secrets_of_row
from installations.services import Tested

MOST_VALID = 2


class Stage(enum.Enum):
    """One: nothing is under way. Added: the new one has verified nothing. Both: the old one was used lately. Silent:
    the old one can go. Tangled: more than two are valid."""

    NONE = "none"
    ONE = "one"
    ADDED = "added"
    BOTH = "both"
    SILENT = "silent"
    TANGLED = "tangled"


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """
    How far a rotation has come.

    name: which of a channel's secrets it is of; empty for a client secret. valid: newest first.
    """

    name: str
    stage: Stage
    valid: tuple[KnownSecret, ...]

    @property
    def newest(self) -> KnownSecret | None:
        return self.valid[0] if self.valid else None

    @property
    def oldest(self) -> KnownSecret | None:
        """The one to be retired, while a rotation is under way."""
        return self.valid[-1] if len(self.valid) > 1 else None


def rotations_of(row: AppInstallation | Channel, *, now: datetime) -> list[Rotation]:
    """One for each kind of secret that the row has."""
    known = secrets_of_row(row)
    names = sorted({getattr(secret.row, "name", "") for secret in known})
    return [_rotation(name, [one for one in known if getattr(one.row, "name", "") == name], now) for name in names]


def _rotation(name: str, known: Sequence[KnownSecret], now: datetime) -> Rotation:
    valid = tuple(one for one in known if one.row.retired_at is None)
    return Rotation(name=name, stage=_stage(valid, now), valid=valid)


def _stage(valid: Sequence[KnownSecret], now: datetime) -> Stage:
    if len(valid) < MOST_VALID:
        return Stage.ONE if valid else Stage.NONE
    if len(valid) > MOST_VALID:
        return Stage.TANGLED
    if valid[0].used_at is None:
        return Stage.ADDED
    return Stage.SILENT if is_out_of_use(valid[1], valid, now=now) else Stage.BOTH


def version_of(rotations: Sequence[Rotation]) -> str:
    """Another one whenever something of them looks otherwise."""
    seen = [(one.name, one.stage.value, [(it.row.pk, it.used_at, it.count) for it in one.valid]) for one in rotations]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def trouble_with_another(row: AppInstallation | Channel, *, name: str = "") -> str:
    """Why no secret can be added beside those that are valid, as a sentence; nothing where one can."""
    valid = row.secrets.filter(retired_at=None, **({"name": name} if name else {})).order_by("-created_at")
    added = list(valid.values_list("created_at", flat=True)[:MOST_VALID])
    if len(added) < MOST_VALID:
        return ""
    return (
        f"A rotation is under way: two secrets are valid, the newer since {in_utc(added[0])}. "
        "Retire one of them first: the old one when it is silent, or the new one where it was a mistake."
    )


def begin(installation: AppInstallation, *, secret: str, actor: Actor) -> Tested:
    """
    Add a client secret once LivePerson has issued a token for it; where LivePerson cannot be asked, without.

    Raises ConfigurationError when LivePerson refuses it, or it is there already: then nothing is added.
    """
    client = client_for(installation)
    tested = services.ask_for_token(client, client_id=installation.client_id, secrets=[secret.strip()])
    if tested.code == CredentialsRejected.code:
        raise ConfigurationError(
            f"It was not added: LivePerson does not accept this secret for the client id {installation.client_id}. "
            "Copy it again. Where LivePerson will take it only later, tick the box below."
        )
    with transaction.atomic():
        begin_unasked(installation, secret=secret, actor=actor)
        if tested.has_passed:
            services.note_test(installation, tested, actor=actor)
    return tested


@transaction.atomic
def begin_unasked(installation: AppInstallation, *, secret: str, actor: Actor) -> None:
    """
    Add a client secret that LivePerson is not asked about.

    Raises ConfigurationError when it is there already, or two are valid.
    """
    _take_turn(installation)
    if services.add_client_secret(installation, secret=secret, actor=actor) is None:
        raise ConfigurationError("This secret is valid already: there is nothing to add.")


@transaction.atomic
def begin_on_channel(channel: Channel, *, secret: str, actor: Actor, name: str) -> None:
    """Add a secret of a channel beside the one that is valid. Raises ConfigurationError when two are valid."""
    _take_turn(channel, name=name)
    services.add_channel_secret(channel, secret=secret, actor=actor, name=name)


def _take_turn(row: AppInstallation | Channel, *, name: str = "") -> None:
    """Of several who add one at the same moment each sees what those before have added."""
    pausing.lock(row)
    if trouble := trouble_with_another(row, name=name):
        raise ConfigurationError(trouble)


def warning_of(secret: KnownSecret, known: Sequence[KnownSecret], *, now: datetime) -> str:
    """What may go wrong when this secret is retired now, as a sentence; nothing where it is out of use."""
    if is_out_of_use(secret, known, now=now):
        return ""
    if secret.used_at is not None and now - secret.used_at < QUIET:
        return f"It verified a webhook at {in_utc(secret.used_at)}, less than ten minutes ago."
    if secret.used_at is not None:
        return "It verified the last webhooks that came; the new one has verified none."
    return "No webhook has shown yet that another secret is used in its place."


__all__ = [
    "MOST_VALID",
    "Rotation",
    "Stage",
    "begin",
    "begin_on_channel",
    "begin_unasked",
    "rotations_of",
    "trouble_with_another",
    "warning_of",
]
