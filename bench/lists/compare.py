"""The same requests at two sizes, side by side."""

from __future__ import annotations

from collections import defaultdict

from bench.lists.counting import Cost
from bench.report import Figure

TOLERANCE = 0.10

Costs = dict[str, Cost]


def figures_of(small: Costs, large: Costs, *, sizes: tuple[int, int]) -> list[Figure]:
    """For each list and place the request whose pages grow the most; and what must not happen at all."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in small.keys() & large.keys():
        question, _, place = name.split(" | ")
        groups[f"{question.split()[0]}, {place} page"].append(name)
    figures = []
    for group, names in sorted(groups.items()):
        worst = max(names, key=lambda name: abs(_ratio(small[name], large[name]) - 1))
        grown = [name for name in names if not _is_even(small[name], large[name])]
        ratio = _ratio(small[worst], large[worst])
        figures.append(
            Figure(
                figure=f"{group}: buffer pages, worst of {len(names)}",
                value=large[worst].pages,
                unit="pages",
                against=f"{small[worst].pages} at {sizes[0]:,}: {worst}; {len(grown)} uneven",
                ratio=ratio,
                target="0.9 to 1.1",
                gate=True,
                met=not grown,
            )
        )
    return [*figures, _statements(small, large), _scans(small, large)]


def _statements(small: Costs, large: Costs) -> Figure:
    differ = sorted(name for name in small.keys() & large.keys() if small[name].statements != large[name].statements)
    return Figure(
        figure="requests whose number of statements differs",
        value=len(differ),
        unit="requests",
        against="; ".join(differ[:3]),
        target="0",
        gate=True,
        met=not differ,
    )


def _scans(small: Costs, large: Costs) -> Figure:
    scanning = sorted(name for costs in (small, large) for name, cost in costs.items() if cost.scanned)
    return Figure(
        figure="requests that read a log table as a whole",
        value=len(scanning),
        unit="requests",
        against="; ".join(scanning[:3]),
        target="0",
        gate=True,
        met=not scanning,
    )


def table_of(small: Costs, large: Costs, *, sizes: tuple[int, int]) -> str:
    """Every request with its raw figures, the most uneven first."""
    names = sorted(small.keys() & large.keys(), key=lambda name: -abs(_ratio(small[name], large[name]) - 1))
    width = max(map(len, names), default=0)
    head = f"{'request':<{width}}  statements  pages at {sizes[0]:,} / {sizes[1]:,}  ratio  rows\n"
    lines = [
        f"{name:<{width}}  {small[name].statements:>3} /{large[name].statements:>3}  "
        f"{small[name].pages:>7} /{large[name].pages:>7}  {_ratio(small[name], large[name]):>6.2f}  "
        f"{_rows(small[name])} / {_rows(large[name])}{_told_scans(small[name], large[name])}"
        for name in names
    ]
    return head + "\n".join(lines) + "\n"


def _ratio(small: Cost, large: Cost) -> float:
    return large.pages / small.pages if small.pages else float(large.pages > 0) + 1


def _is_even(small: Cost, large: Cost) -> bool:
    return abs(_ratio(small, large) - 1) <= TOLERANCE


def _rows(cost: Cost) -> str:
    return f"{cost.rows}{'+' if cost.has_more else ''}"


def _told_scans(*costs: Cost) -> str:
    scanned = sorted({table for cost in costs for table in cost.scanned})
    return f"  SCANS {', '.join(scanned)}" if scanned else ""
