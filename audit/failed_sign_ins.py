"""
Failed sign-ins in the trail: bounded, whoever tries how often.

In each hour the first failure of a name from an address is an entry, and so is the one after which no other is looked
at; up to a bound for the whole site. The rest is counted, and stands in one entry when the hour is over.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from access.models import User
from access.sign_in import COOL_OFF, Outcome
from audit import api as audit
from audit.models import AuditEntry, FailedSignIns
from core.actor import SYSTEM, Actor
from core.ids import first_id_at

NAMED_IN_AN_HOUR = 200

_COUNT = """
    INSERT INTO audit_failedsignins AS known (hour, wrong, refused, named) VALUES (%(hour)s, %(wrong)s, %(refused)s, 0)
    ON CONFLICT (hour) DO UPDATE SET wrong = known.wrong + %(wrong)s, refused = known.refused + %(refused)s
    RETURNING named
"""


@transaction.atomic
def record(*, username: str, address: str | None, outcome: Outcome, now: datetime) -> None:
    """A name that nobody has is not kept: people type their password into the wrong field."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    # The row of the hour is locked from here on: nobody else adds an entry meanwhile.
    named = _count(hour, outcome)
    if outcome is Outcome.REFUSED or named >= NAMED_IN_AN_HOUR:
        return
    person = User.objects.filter(username=username).first() if "\0" not in username else None
    subject = person or User(id="", username="a name that nobody has")
    action = "user.sign_in_stopped" if outcome is Outcome.LAST else "user.sign_in_failed"
    recent = AuditEntry.objects.filter(subject_id=str(subject.pk), pk__gte=first_id_at(hour))
    if recent.filter(action=action, address=address).exists():
        return
    data = {"for_minutes": int(COOL_OFF.total_seconds() // 60)} if outcome is Outcome.LAST else {}
    actor = Actor(kind="PERSON", name="somebody not signed in", address=address)
    audit.record(action, actor=actor, subject=subject, data=data)
    FailedSignIns.objects.filter(hour=hour).update(named=named + 1)


def sum_up(*, now: datetime, at_most: int) -> int:
    """Write down the sums of past hours, in the caller's transaction; returns how many hours that were."""
    past = FailedSignIns.objects.filter(hour__lt=now.replace(minute=0, second=0, microsecond=0)).order_by("hour")
    hours = list(past.select_for_update(skip_locked=True)[:at_most])
    for one in hours:
        if one.wrong + one.refused > one.named:
            data = {"from": one.hour.isoformat(), "wrong": one.wrong, "refused": one.refused, "named": one.named}
            audit.record("user.sign_in_failures_counted", actor=SYSTEM, subject=None, data=data)
    FailedSignIns.objects.filter(pk__in=[one.pk for one in hours]).delete()
    return len(hours)


def _count(hour: datetime, outcome: Outcome) -> int:
    is_refused = outcome is Outcome.REFUSED
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"hour": hour, "wrong": int(not is_refused), "refused": int(is_refused)})
        return int(cursor.fetchone()[0])
