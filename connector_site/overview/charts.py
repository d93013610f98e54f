"""
The plots: data for Chart.js, which the library's script draws on every canvas of the class chart.

No script of a page's own: what is drawn stands in attributes, and the same numbers in a table below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from connector_site.models import Figure, Span
from connector_site.overview.words import duration
from connector_site.rollups.buckets import ACK_LIMIT_MS, ACK_MS, BEYOND, THROUGH_MS
from connector_site.rollups.series import Series

# Readable on both grounds, and told apart without colours by the legend's order and the table.
_BLUE, _GREEN, _RED, _AMBER = "oklch(62% .17 250)", "oklch(62% .15 155)", "oklch(62% .2 25)", "oklch(70% .15 70)"


@dataclass(frozen=True, kw_only=True)
class Line:
    """color: as CSS writes it. values: one for each span of time; None: nothing to tell."""

    label: str
    color: str
    values: Sequence[int | None]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """
    kind: line or bar. caption: what is to be seen. data, options: for the canvas. rows: moment and values, as told.
    """

    title: str
    kind: str
    caption: str
    lines: list[Line]
    data: str
    options: str
    rows: list[tuple[Any, list[str]]]

    @property
    def is_empty(self) -> bool:
        return not any(value for line in self.lines for value in line.values)


def charts_of(series: Series) -> list[Chart]:
    """Traffic, how long answers and messages took, and what did not go through."""
    return [traffic_of(series), acks_of(series), through_of(series), bad_ends_of(series)]


def traffic_of(series: Series) -> Chart:
    return _chart(
        series,
        "Messages",
        kind="line",
        caption="What consumers and agents said.",
        lines=[
            Line(label="to LivePerson", color=_BLUE, values=series.line(Figure.MESSAGES_TO_LIVEPERSON)),
            Line(label="to channels", color=_GREEN, values=series.line(Figure.MESSAGES_TO_CHANNEL)),
        ],
        told=_number,
    )


def acks_of(series: Series) -> Chart:
    p99 = _edges(series.percentiles_ms(Figure.ACK_TO_LIVEPERSON, 0.99), ACK_MS)
    p50 = _edges(series.percentiles_ms(Figure.ACK_TO_LIVEPERSON, 0.5), ACK_MS)
    lines = [Line(label="p99", color=_BLUE, values=p99), Line(label="p50", color=_GREEN, values=p50)]
    # Far below it, the limit would press everything else to the ground.
    if max((value or 0 for value in p99), default=0) * 5 >= ACK_LIMIT_MS:
        lines.append(Line(label="LivePerson's limit", color=_RED, values=[ACK_LIMIT_MS] * len(p99)))
    caption = f"Until LivePerson had its answer, in ms. Its limit is {ACK_LIMIT_MS:,} ms."
    return _chart(series, "Answers to LivePerson's webhooks", kind="line", caption=caption, lines=lines, told=duration)


def through_of(series: Series) -> Chart:
    there = _edges(series.percentiles_ms(Figure.THROUGH_TO_LIVEPERSON, 0.99), THROUGH_MS)
    back = _edges(series.percentiles_ms(Figure.THROUGH_TO_CHANNEL, 0.99), THROUGH_MS)
    lines = [
        Line(label="to LivePerson", color=_BLUE, values=there),
        Line(label="to channels", color=_GREEN, values=back),
    ]
    caption = "From the webhook to the acceptance on the other side, p99 in ms."
    return _chart(series, "End to end", kind="line", caption=caption, lines=lines, told=duration)


def bad_ends_of(series: Series) -> Chart:
    failed = series.line(Figure.FAILED_TO_LIVEPERSON, Figure.FAILED_TO_CHANNEL)
    dead = series.line(Figure.DEAD_TO_LIVEPERSON, Figure.DEAD_TO_CHANNEL)
    lines = [Line(label="failed", color=_RED, values=failed), Line(label="dead", color=_AMBER, values=dead)]
    caption = "When they came to their end."
    return _chart(series, "Failed and dead sends", kind="bar", caption=caption, lines=lines, told=_number)


def _edges(values: Sequence[int | None], edges: tuple[int, ...]) -> list[int | None]:
    """What lies above all edges is drawn at the last one."""
    return [edges[-1] if value == BEYOND else value for value in values]


def _chart(
    series: Series,
    title: str,
    *,
    kind: str,
    caption: str,
    lines: list[Line],
    told: Callable[[int | None], str],
) -> Chart:
    """told: writes a value into the table."""
    form = "%d %b" if series.range.span == Span.DAY else "%H:%M"
    data = {
        # In UTC; the page's script writes the reader's own time from `times`.
        "labels": [moment.strftime(form) for moment in series.moments],
        "times": [moment.isoformat() for moment in series.moments],
        "span": int(series.range.span),
        "datasets": [_dataset(line, _SHAPES[kind]) for line in lines],
    }
    rows = [
        (moment, [told(line.values[number]) for line in lines])
        for number, moment in enumerate(series.moments)
        if any(line.values[number] for line in lines)
    ]
    return Chart(
        title=title,
        kind=kind,
        caption=caption,
        lines=lines,
        data=json.dumps(data),
        options=json.dumps(_options(len(series.moments))),
        rows=rows[::-1],
    )


_SHAPES: dict[str, dict[str, Any]] = {
    "bar": {"stack": "one", "maxBarThickness": 14},
    # A point of its own between two gaps would not be seen without a mark.
    "line": {"pointStyle": "circle", "borderWidth": 2},
}
_CLOSE_TOGETHER = 48


def _options(points: int) -> dict[str, Any]:
    """The library's own begin where the smallest number is, which makes small changes look large."""
    many = points > _CLOSE_TOGETHER
    return {
        "animation": False,
        "responsive": True,
        "maintainAspectRatio": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {"legend": {"display": False}},
        "elements": {"point": {"radius": 0 if many else 2, "hitRadius": 6}},
        "scales": {
            "x": {
                "ticks": {"color": "#9ca3af", "maxTicksLimit": 5 if many else 8, "maxRotation": 0},
                "grid": {"display": False},
            },
            "y": {
                "beginAtZero": True,
                "border": {"display": False},
                "ticks": {"color": "#9ca3af", "precision": 0, "maxTicksLimit": 6},
                "grid": {"lineWidth": 1},
            },
        },
    }


def _dataset(line: Line, shape: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": line.label,
        "data": list(line.values),
        "borderColor": line.color,
        "backgroundColor": line.color,
        **shape,
    }


def _number(value: float | None) -> str:
    return f"{value or 0:,}"
