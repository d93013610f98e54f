"""What the trail listens to: acts on people and brands, and people who come and go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import models, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from access import acts, sign_in
from access.models import User
from access.people import actor_of, address_of
from audit import api as audit
from audit import failed_sign_ins
from core.actor import Actor

# However often somebody does again what changes nothing.
_APART = timedelta(hours=1)


@receiver(acts.done)
def record_act(
    *, action: str, actor: Actor, subject: models.Model, data: dict[str, Any], reason: str, **_: Any
) -> None:
    """Runs in the transaction of the act: what goes wrong here undoes the act."""
    audit.record(action, actor=actor, subject=subject, data=data, reason=reason)


@receiver(acts.done_again)
def record_act_once(*, action: str, actor: Actor, subject: models.Model, **_: Any) -> None:
    with transaction.atomic():
        audit.record_once(action, actor=actor, subject=subject, within=_APART)


@receiver(user_logged_in)
def record_sign_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    with transaction.atomic():
        audit.record("user.signed_in", actor=actor_of(user, request), subject=user)


@receiver(user_logged_out)
def record_sign_out(*, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is None:
        return
    with transaction.atomic():
        audit.record("user.signed_out", actor=actor_of(user, request), subject=user)


@receiver(sign_in.failed)
def record_failed_sign_in(*, username: str, request: HttpRequest, outcome: sign_in.Outcome, **_: Any) -> None:
    failed_sign_ins.record(username=username, address=address_of(request), outcome=outcome, now=timezone.now())
