"""What a run found: a table for people, $DATA_DIR/bench.json for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One measured figure.

    against: what it is compared with, and that thing's own value. target: what ratio, or else value, is asked for.
    gate: whether missing it fails the run; an aim is only reported.
    """

    figure: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    target: str = ""
    gate: bool = False
    met: bool | None = None


def publish(figures: list[Figure], *, path: Path) -> bool:
    """Print and keep the figures; False when a gate was missed."""
    width = max((len(f.figure) for f in figures), default=10)
    print(f"\n{'figure':<{width}}  {'value':>10} {'unit':<10} {'ratio':>6}  {'target':<14} met  against")
    for f in figures:
        ratio = "" if f.ratio is None else f"{f.ratio:.2f}"
        met = "" if f.met is None else ("yes" if f.met else "NO")
        print(f"{f.figure:<{width}}  {f.value:>10.1f} {f.unit:<10} {ratio:>6}  {f.target:<14} {met:<4} {f.against}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(f) for f in figures], indent=2) + "\n")
    print(f"\nKept in {path}")
    return all(f.met is not False for f in figures if f.gate)
