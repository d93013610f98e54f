"""What a run found: a table for people, $DATA_DIR/chaos.json for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Row:
    """promise: in a few words. held: None where a figure is an aim on a busy machine, which only a person can judge."""

    promise: str
    figure: str
    target: str
    held: bool | None


def load_note() -> str:
    """For figures of time: what else the machine was doing."""
    return f"(load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)"


def at_most(promise: str, *, count: int, of: int, what: str = "", most: int = 0) -> Row:
    """A row for something that must not happen, with how often it could have."""
    return Row(
        promise=promise, figure=f"{count} of {of} {what}".strip(), target=str(most), held=count <= most and of > 0
    )


def within(
    promise: str, *, figure_s: float, most_s: float, note: str = "", measured: int = 1, at_least: int = 1
) -> Row:
    """A row for something that must not take longer. measured: how often it was; fewer than at_least show nothing."""
    figure = f"{figure_s:.2f} s {note}".strip()
    held = figure_s <= most_s and measured >= at_least
    return Row(promise=promise, figure=figure, target=f"<= {most_s:g} s", held=held)


def publish(rows: Iterable[Row], *, path: Path) -> bool:
    """Print and keep the rows; False when a promise is broken."""
    rows = list(rows)
    width = max((len(row.promise) for row in rows), default=10)
    column = max((len(row.figure) for row in rows), default=10)
    print(f"\n{'promise':<{width}}  {'figure':<{column}}  {'target':<10} held")
    for row in rows:
        held = {True: "yes", False: "NO", None: "aim"}[row.held]
        print(f"{row.promise:<{width}}  {row.figure:<{column}}  {row.target:<10} {held}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print(f"\nKept in {path}")
    return all(row.held is not False for row in rows) and bool(rows)
