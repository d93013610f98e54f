"""The one task of the system: a doorbell rang, so look for work."""

from typing import Any

import structlog

from connector_site import heartbeat
from core.ids import new_id

DEADLINE_S = 15


def work(**_: Any) -> None:
    """
    Show a sign of life, then do what is due until nothing is, or the deadline comes. Returns nothing: a result would be
    pickled and stored. Takes keywords of a newer or older caller without looking at them.
    """
    from webhooks import services  # late: this module is named in settings-free places, and models need the registry

    with structlog.contextvars.bound_contextvars(correlation_id=str(new_id())):
        heartbeat.beat(cluster=heartbeat.cluster_name())
        services.work(deadline_s=DEADLINE_S)
