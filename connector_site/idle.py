"""On the page of a connector: does a worker do what it stores? Without one nothing else on the page is seen to fail."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from connector_site import heartbeat
from installations.findings import Check, Finding
from installations.signals import channel_health_asked, health_asked


@receiver(health_asked)
@receiver(channel_health_asked)
def tell_of_workers(**_: Any) -> list[Finding]:
    age_s = heartbeat.youngest_age_s()
    if age_s is None:
        return []  # nothing was ever applied or sent here: the other checks say so
    check = Check(name="Workers", means="They apply what was stored, and send what waits.")
    if age_s <= heartbeat.ALIVE_WITHIN_S:
        return [check.fine("They are alive.")]
    what = f"No worker has given a sign of life for {age_s:.0f} s: webhooks are stored, but nothing is applied or sent."
    do = "Start manage.py worker: nothing is lost, and what waits goes out in its order."
    return [check.stops(what, do=do).as_cause()]
