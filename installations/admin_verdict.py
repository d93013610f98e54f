"""A verdict as a page shows it: the headline, what is wrong, the one next step with its button, the checks behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from installations.findings import Finding, Step, Verdict

Buttons = Iterable[Mapping[str, Any]]

# Where a step is a place: on the page itself, on that of another row, or a form that knows the row it begins with.
_PLACES = {
    Step.HAND_OVER: ("content_copy", "See what to hand over", "#hand-over"),
    Step.SETTINGS: ("edit", "Go to the settings", "#settings"),
    Step.SHOW_FAILURES: ("error", "See the failures", "#failures"),
    Step.ROTATE: ("key", "See the rotation", "../rotation/"),
}
# Deeds that have their button at the thing itself.
_ELSEWHERE = frozenset({"add-secret", "retire-secret", "compare-manifest"})
_ROWS = {
    Step.SHOW_CHANNEL: ("sms", "Open the channel", "admin:installations_channel_change"),
    Step.SHOW_INSTALLATION: ("hub", "Open the app installation", "admin:installations_appinstallation_change"),
}
_FORMS = {
    Step.ADD_CHANNEL: ("add", "Add channel", "admin:installations_channel_add", "installation"),
    Step.ADD_INSTALLATION: ("add", "Add app installation", "admin:installations_appinstallation_add", "account"),
}


@dataclass(frozen=True)
class _Link:
    """Looks to a template like a deed that has a page of its own."""

    icon: str
    label: str
    tone: str = "plain"
    at_once: bool = False


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """button: does what the finding says; None where nobody can, or this person may not."""

    finding: Finding
    button: Mapping[str, Any] | None


def verdict_context(verdict: Verdict, *, buttons: Buttons, row_id: uuid.UUID, may_change: bool) -> dict[str, Any]:
    """What parts/verdict.html and parts/checks.html show. buttons: the deeds of the row that this person may do."""
    by_name = {button["deed"].name: button for button in buttons}
    troubles = [
        Trouble(finding=one, button=_button(one, by_name, row_id=row_id, may_change=may_change))
        for one in verdict.troubles
    ]
    following = next((trouble for trouble in troubles if trouble.button), None)
    taken = _ELSEWHERE | {trouble.finding.step.value for trouble in troubles if trouble.finding.step}
    return {
        "verdict": verdict,
        "troubles": troubles,
        "next": following,
        "checks": [{"finding": one, "href": _href(one)} for one in verdict.findings],
        "buttons": [one for name, one in by_name.items() if name not in taken],
    }


def _button(
    finding: Finding, deeds: Mapping[str, Mapping[str, Any]], *, row_id: uuid.UUID, may_change: bool
) -> Mapping[str, Any] | None:
    step = finding.step
    if step is None:
        return None
    if step in _FORMS:
        icon, label, name, parameter = _FORMS[step]
        url = f"{reverse(name)}?{parameter}={row_id}"
        return {"deed": _Link(icon, label), "url": url} if may_change else None
    if step in _PLACES or step in _ROWS:
        icon, label, _ = (_PLACES | _ROWS)[step]
        return {"deed": _Link(icon, label), "url": _href(finding)}
    return deeds.get(step.value)


def _href(finding: Finding) -> str:
    """Where more about a finding stands; empty where it is all there is."""
    about = finding.check.about if finding.check else None
    if finding.step in _ROWS and about:
        return reverse(_ROWS[finding.step][2], args=[about])
    if finding.step is Step.COMPARE:
        return _PLACES[Step.HAND_OVER][2]
    return _PLACES[finding.step][2] if finding.step in _PLACES else ""
