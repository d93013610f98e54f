"""What the trail listens to: acts on people and brands, and people who come and go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import models, transaction
from django.dispatch import receiver
from django.http import HttpRequest

from access import acts
from access.models import User
from access.people import actor_of, address_of
from audit import api as audit
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


@receiver(user_login_failed)
def record_failed_sign_in(*, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A name that nobody has is not kept: people type their password into the wrong field."""
    username = str(credentials.get("username") or "")
    person = User.objects.filter(username=username).first() if "\0" not in username else None
    subject = person or User(id="", username="a name that nobody has")
    actor = Actor(kind="PERSON", name="somebody not signed in", address=address_of(request))
    with transaction.atomic():
        audit.record("user.sign_in_failed", actor=actor, subject=subject)
