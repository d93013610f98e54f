"""The workers' sign of life: written by a task, read by whoever asks whether work gets done."""

import os
import socket

from django.db import connection

# manage.py worker names its cluster in this variable; the processes it starts inherit it.
CLUSTER_VARIABLE = "CONNECTOR_SITE_CLUSTER"
ALIVE_WITHIN_S = 15.0
_FORGET_AFTER = "1 day"


def cluster_name() -> str:
    """The cluster this process works in."""
    return os.environ.get(CLUSTER_VARIABLE, "") or f"{socket.gethostname()}-{os.getppid()}"


def beat(*, cluster: str) -> None:
    """Record that a task of this cluster runs, and forget clusters that are long gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO connector_site_heartbeat (cluster, beat_at) VALUES (%s, clock_timestamp()) "
            "ON CONFLICT (cluster) DO UPDATE SET beat_at = clock_timestamp()",
            [cluster],
        )
        cursor.execute("DELETE FROM connector_site_heartbeat WHERE beat_at < now() - %s::interval", [_FORGET_AFTER])


def age_s(*, cluster: str) -> float | None:
    """Seconds since this cluster's last beat; None when it never beat."""
    return _age(
        "SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM connector_site_heartbeat WHERE cluster = %s",
        [cluster],
    )


def youngest_age_s() -> float | None:
    """Seconds since any cluster's last beat; None when none ever beat."""
    return _age("SELECT extract(epoch FROM clock_timestamp() - max(beat_at)) FROM connector_site_heartbeat", [])


def _age(query: str, parameters: list[str]) -> float | None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        row = cursor.fetchone()
    return None if row is None or row[0] is None else max(0.0, float(row[0]))
