"""Pauses on pages: who paused what, since when, until when, and why."""

from __future__ import annotations

from typing import Any

from django import template
from django.db import models
from django.http import HttpRequest
from django.urls import reverse

from access.rules import Verb, may
from installations import paused
from installations.models import Pause, PausedDirection, PauseScope

register = template.Library()


@register.inclusion_tag("admin/parts/paused.html", takes_context=True)
def paused_over(context: Any, row: models.Model) -> dict[str, Any]:
    """Whatever keeps something of this row from being sent; of itself, what the site found is told by its verdict."""
    told = [one for one in paused.pauses_over(row) if not (one.is_by_itself and one.target_id == row.pk)]
    return {"pauses": [_shown(one, context["request"], page_of=row) for one in told]}


@register.inclusion_tag("admin/parts/paused.html", takes_context=True)
def paused_platform(context: Any) -> dict[str, Any]:
    """What keeps everything of everybody."""
    return {"pauses": [_shown(one, context["request"]) for one in paused.pauses_of_platform()]}


def _shown(pause: Pause, request: HttpRequest, *, page_of: models.Model | None = None) -> dict[str, Any]:
    is_here = page_of is not None and pause.target_id == page_of.pk
    # What was put on this very row is ended by the row's own button, which stands below.
    offers_to_end = not is_here and not pause.is_by_itself and may(request.user, Verb.OPERATE, pause)
    return {
        "row": pause,
        "what": _what(pause, is_here=is_here),
        "waits": _WAITS[PausedDirection(pause.direction)],
        "url": "" if is_here else paused.url_of(pause),
        "resume_url": _resume_url(pause) if offers_to_end else "",
    }


_WAITS = {
    PausedDirection.BOTH: "nothing is sent in either direction",
    PausedDirection.TO_LIVEPERSON: "nothing is sent to LivePerson",
    PausedDirection.TO_CHANNEL: "nothing is sent to the channel",
}
_NOUNS = {
    PauseScope.PLATFORM: "The whole platform",
    PauseScope.BRAND: "The brand",
    PauseScope.INSTALLATION: "The app installation",
    PauseScope.CHANNEL: "The channel",
    PauseScope.CONSUMER: "A consumer",
}


def _what(pause: Pause, *, is_here: bool) -> str:
    """Its name; that of a consumer is told on their own page alone."""
    scope = PauseScope(pause.scope)
    if scope is PauseScope.CONSUMER:
        return "This consumer" if is_here else _NOUNS[scope]
    return f"{_NOUNS[scope]} {pause.target_name}".strip()


def _resume_url(pause: Pause) -> str:
    return reverse("admin:installations_pause_do", kwargs={"object_id": pause.pk, "deed_name": "resume"})
