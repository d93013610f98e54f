"""The plots that pages of connectors show, from the counts that the dashboard adds up."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from connector_site.overview.charts import Chart, bad_ends_of, traffic_of
from connector_site.rollups.series import series_of_channel, series_of_installation
from installations.models import AppInstallation, Channel
from installations.signals import traffic_asked


@receiver(traffic_asked)
def tell_of_traffic(*, row: AppInstallation | Channel, **_: Any) -> list[Chart]:
    """What was said in the last thirty days, and what did not go through."""
    series = series_of_channel(row) if isinstance(row, Channel) else series_of_installation(row)
    return [traffic_of(series), bad_ends_of(series)]
