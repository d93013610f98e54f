"""
Acts on people and brands, told to the trail.

The trail lies above this package and listens; so an act and its record stand in one transaction without an import that
points upwards.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.dispatch import Signal

from core.actor import Actor

# Sent in the transaction of the act: action, actor, subject, data, reason.
done = Signal()
# Sent in a transaction of its own: action, actor, subject.
done_again = Signal()


def tell(
    action: str, *, actor: Actor, subject: models.Model, data: dict[str, Any] | None = None, reason: str = ""
) -> None:
    """Have an act recorded. Raises RuntimeError when nobody listens: an act without its record must not happen."""
    if not done.has_listeners():
        raise RuntimeError("No trail listens to access.acts: is the app audit installed?")
    done.send(sender=type(subject), action=action, actor=actor, subject=subject, data=data or {}, reason=reason)


def tell_once(action: str, *, actor: Actor, subject: models.Model) -> None:
    """
    Have something recorded that changes nothing and can be done again and again: once an hour for each actor and
    subject. Raises RuntimeError when nobody listens.
    """
    if not done_again.has_listeners():
        raise RuntimeError("No trail listens to access.acts: is the app audit installed?")
    # A consumer's name, which an erasure would have to find in every such entry, is not written down with it.
    done_again.send(sender=type(subject), action=action, actor=actor, subject=getattr(subject, "nameless", subject))
