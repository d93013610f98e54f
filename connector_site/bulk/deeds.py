"""What people do with a job: start it, agree to it, stop it, have it go on, give it up."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from access.admin_deeds import Deed, OptionalReasonForm, ReasonForm, Told
from access.models import User
from connector_site.bulk import services
from connector_site.bulk.models import BulkJob, BulkState
from core.actor import Actor


class StartForm(ReasonForm):
    per_second = forms.IntegerField(
        label="Rows a second, at most",
        min_value=1,
        max_value=services.MOST_PER_SECOND,
        initial=10,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Slow enough that what runs meanwhile does not notice. What it makes due is sent at its own pace.",
    )


def _person(actor: Actor) -> User:
    return User.objects.get(pk=actor.id)


def _start(row: BulkJob, given: dict[str, Any], actor: Actor) -> Told:
    started = services.start(
        row.pk, person=_person(actor), actor=actor, reason=given["reason"], per_second=given["per_second"]
    )
    return _told_of(started, going="Started.")


def _told_of(job: BulkJob, *, going: str) -> Told:
    if job.state == BulkState.WAITING:
        return Told(
            sentence=f"Asked for. More than {services.MOST_ALONE} rows within a day: somebody else has to agree first."
        )
    return Told(sentence=going)


def _approve(row: BulkJob, given: dict[str, Any], actor: Actor) -> Told:
    services.approve(row.pk, person=_person(actor), actor=actor, reason=given["reason"])
    return Told(sentence="Agreed to, and started.")


def _stop(row: BulkJob, given: dict[str, Any], actor: Actor) -> Told:
    services.stop(row.pk, person=_person(actor), actor=actor)
    return Told(sentence="Stopped: no further row is touched.")


def _resume(row: BulkJob, given: dict[str, Any], actor: Actor) -> Told:
    return _told_of(services.resume(row.pk, person=_person(actor), actor=actor), going="It goes on where it stopped.")


def _discard(row: BulkJob, given: dict[str, Any], actor: Actor) -> Told:
    services.discard(row.pk, person=_person(actor), actor=actor, reason=given["reason"])
    return Told(sentence="Given up. What was done before stays done.")


def _size_of(row: BulkJob) -> list[tuple[str, str]]:
    return [
        ("Rows", f"{row.total:,}"),
        ("Asked for by", row.asked_by.get_username()),
        ("Why", row.reason or "–"),
        ("Of closed conversations", f"{row.closed_count:,}"),
        ("Possibly arriving twice", f"{row.doubtful_count:,}"),
    ]


START = Deed(
    name="start",
    label="Start",
    icon="play_arrow",
    explain=f"The workers do it to one row after another. More than {services.MOST_ALONE} rows within a day need a "
    "second person.",
    run=_start,
    offered=lambda row: row.state == BulkState.READY,
    form=StartForm,
    tone="main",
    facts=_size_of,
)
APPROVE = Deed(
    name="approve",
    label="Agree and start",
    icon="how_to_reg",
    explain="You are the second person: look at what it would touch, and why. It starts at once.",
    run=_approve,
    offered=lambda row: row.state == BulkState.WAITING,
    form=OptionalReasonForm,
    tone="main",
    facts=_size_of,
)
STOP = Deed(
    name="stop",
    label="Stop",
    icon="stop",
    explain="No further row is touched. It can go on later.",
    run=_stop,
    offered=lambda row: row.state == BulkState.RUNNING,
    tone="danger",
    at_once=True,
)
RESUME = Deed(
    name="resume",
    label="Go on",
    icon="play_arrow",
    explain="It goes on with the rows that are left.",
    run=_resume,
    offered=lambda row: row.state == BulkState.STOPPED,
    tone="main",
    at_once=True,
)
DISCARD = Deed(
    name="discard",
    label="Give up",
    icon="close",
    explain="The rows that are left are not touched. What was done before stays done.",
    run=_discard,
    offered=lambda row: row.state in (BulkState.GATHERING, BulkState.READY, BulkState.WAITING, BulkState.STOPPED),
    form=OptionalReasonForm,
)

__all__ = ["APPROVE", "DISCARD", "RESUME", "START", "STOP", "StartForm"]
