"""What needs somebody now, as sentences: which connector, what is wrong, what to do. Each leads to the connector."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from access.models import User
from access.rules import Verb, may
from connector_site.bulk.models import BulkJob
from connector_site.refused import Refused, amount
from core.breaker import Phase
from installations import breakers, paused
from installations.models import AppInstallation, AppToken, Channel, Pause, State, Upstream


@dataclass(frozen=True, kw_only=True)
class Need:
    """
    tone: bad or wait. about: the connector, by its name. at: a moment in the sentence, which goes on with `after`.

    step: what to do about it at once, label and address; empty where the sentence says it, or the reader may not.
    """

    tone: str
    about: str
    url: str
    sentence: str
    at: datetime | None = None
    after: str = ""
    step: tuple[str, str] | None = None


def needs_of(
    installations: Sequence[AppInstallation],
    pauses: Iterable[Pause],
    hosts: Iterable[Upstream],
    tokens: Iterable[AppToken],
    jobs: Iterable[BulkJob],
    refused: Mapping[uuid.UUID, Refused],
    *,
    reader: User,
    now: datetime,
) -> list[Need]:
    """The worst first. installations: with valid_secrets and channels. jobs: that wait for this reader."""
    told = {row.pk for row in installations if row.paused_for}
    found = [
        *(_of_job(one) for one in jobs),
        *(_of_pause(one, reader) for one in pauses if one.target_id not in told),
        *(need for one in installations for need in _of_connector(one)),
        *(need for one in installations for need in _of_refused(one, refused)),
        *(_of_host(one, now) for one in hosts),
        *(_of_token(one, now) for one in tokens),
    ]
    return sorted(found, key=lambda need: need.tone != "bad")


def _of_job(row: BulkJob) -> Need:
    url = reverse("admin:connector_site_bulkjob_change", args=[row.pk])
    asks = f"{row.asked_by.get_username()} asks for it, and waits for somebody else to agree."
    return Need(
        tone="wait",
        about=f"{row.get_kind_display()}: {row.total:,} rows",
        url=url,
        sentence=f"{asks} {row.reason}".strip(),
        step=("Look at it", url),
    )


def _of_connector(row: AppInstallation) -> Iterator[Need]:
    if row.paused_for:
        yield _need("bad", row, f"It is paused: webhooks are stored, nothing is sent. {row.state_reason}".strip())
    if row.state != State.ACTIVE:
        return
    valid_secrets: int = row.valid_secrets  # type: ignore[attr-defined]
    if not valid_secrets:
        yield _need(
            "bad", row, "It has no valid client secret: its webhooks are refused. Add the one LivePerson shows."
        )
    elif valid_secrets > 1:
        rotation = reverse("admin:installations_appinstallation_rotation", args=[row.pk])
        yield _need(
            "wait",
            row,
            f"{valid_secrets} client secrets are valid: retire the old one once it is not used.",
            step=("See how far it is", rotation),
        )
    if row.test_passed is False:
        # It may be over: what fails now is told beside it, and the connector's page knows what was taken since.
        yield _need("wait", row, f"Its last connection test failed. {row.test_detail}".strip())


def _of_refused(row: AppInstallation, refused: Mapping[uuid.UUID, Refused]) -> Iterator[Need]:
    """Of those that are disabled all is refused, as somebody wants it."""
    sources: list[AppInstallation | Channel] = [row, *row.channels.all()]
    for source in sources:
        found = refused.get(source.pk)
        if found is None or source.state == State.DISABLED:
            continue
        yield Need(
            tone="bad" if found.is_stopping else "wait",
            about=f"{row}, channel {source}" if isinstance(source, Channel) else str(row),
            url=reverse(f"admin:installations_{source._meta.model_name}_change", args=[source.pk]),
            sentence=f"{amount(found)} since",
            at=found.since,
            after=": no secret that is kept here verifies them.",
        )


def _of_pause(row: Pause, reader: User) -> Need:
    listed = reverse("admin:installations_pause_changelist")
    who = f"{row.by_name} paused it" if row.by_name else "It is paused"
    if row.is_by_itself:
        who = "The site paused it"
    resume = reverse("admin:installations_pause_do", kwargs={"object_id": row.pk, "deed_name": "resume"})
    return Need(
        # What a person has paused is as they want it. Of a channel that rejected our credentials it is told here, too.
        tone="bad" if row.is_by_itself else "wait",
        about=row.subject_and_brand,
        url=paused.url_of(row) or f"{listed}?state=in_force",
        sentence=f"{who} {row.get_direction_display().lower()} until{'' if row.until else ' somebody resumes it'}",
        at=row.until,
        after=f": {row.reason}",
        step=None if row.is_by_itself or not may(reader, Verb.OPERATE, row) else ("Resume", resume),
    )


def _of_host(row: Upstream, now: datetime) -> Need:
    who = breakers.label_of(row.name)
    if row.phase == Phase.CLOSED.value:
        going_on = ". Sending goes on by itself."
        if row.held_until is not None and row.held_until > now:
            return _need("wait", row.installation, f"{who} asked to wait until", at=row.held_until, after=going_on)
        return _need("wait", row.installation, f"{who} failed within the last minute{going_on}")
    since = " since" if row.opened_at else ""
    silent = ": calls to it failed. What is for it waits."
    return _need("bad", row.installation, f"{who} is not called{since}", at=row.opened_at, after=silent)


def _of_token(row: AppToken, now: datetime) -> Need:
    why = f"LivePerson has refused or not answered {row.failures} renewals of its token ({row.error_code})."
    if row.sealed and row.expires_at and row.expires_at > now:
        return _need("wait", row.installation, f"{why} The present one ends at", at=row.expires_at, after=".")
    return _need("bad", row.installation, f"{why} Nothing is sent to LivePerson. Test the connection to see why.")


def _need(
    tone: str,
    row: AppInstallation,
    sentence: str,
    *,
    at: datetime | None = None,
    after: str = "",
    step: tuple[str, str] | None = None,
) -> Need:
    url = reverse("admin:installations_appinstallation_change", args=[row.pk])
    return Need(tone=tone, about=str(row), url=url, sentence=sentence, at=at, after=after, step=step)
