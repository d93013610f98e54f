"""The plots on the page of a connector. Who counts stands above this package; what they look like is theirs to say."""

from __future__ import annotations

from typing import Any

from installations.models import AppInstallation, Channel
from installations.signals import traffic_asked


def charts_of(row: AppInstallation | Channel) -> list[Any]:
    """What admin/parts/chart.html shows, of the last thirty days."""
    charts: list[Any] = []
    for _, told in traffic_asked.send(sender=type(row), row=row):
        assert isinstance(told, list)
        charts += told
    return charts
