"""The same requests at two sizes, side by side."""

from __future__ import annotations

from collections import defaultdict

from bench.lists.counting import Cost
from bench.report import Figure

TOLERANCE = 0.10
# Of a page with a filter: a walk of newest.STRETCH rows, and a look-up beside each in one table that is joined.
MOST_PAGES = 2_000

Costs = dict[str, Cost]


def figures_of(small: Costs, large: Costs, *, sizes: tuple[int, int]) -> list[Figure]:
    """
    Lists without a filter, and traces, must not cost more for being long; with a filter, never more than the walk is
    bounded by.

    For each kind and place the request that has grown most, or that costs most. What costs less among more rows is
    counted too: of a brand that has a few hundred rows in all, PostgreSQL rather reads and sorts them than walks them.
    """
    both = sorted(small.keys() & large.keys())
    figures = [
        _of_group(group, names, small, large, sizes=sizes)
        for group, names in _grouped([name for name in both if _is_plain(name)]).items()
    ]
    filtered = [name for name in both if not _is_plain(name)]
    return [*figures, *_bounded(filtered, small, large), _statements(small, large), _scans(small, large)]


def _grouped(names: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        question, _, place = name.split(" | ")
        groups[f"{question}, {place} page"].append(name)
    return groups


def _of_group(group: str, names: list[str], small: Costs, large: Costs, *, sizes: tuple[int, int]) -> Figure:
    worst = max(names, key=lambda name: _ratio(small[name], large[name]))
    dearer = [name for name in names if _is_dearer(small[name], large[name])]
    cheaper = [name for name in names if _is_dearer(large[name], small[name])]
    return Figure(
        figure=f"{group}: buffer pages, worst of {len(names)} readers",
        value=large[worst].pages,
        unit="pages",
        against=f"{small[worst].pages} at {sizes[0]:,}: {worst}; {len(dearer)} dearer, {len(cheaper)} cheaper",
        ratio=_ratio(small[worst], large[worst]),
        target="at most a tenth more",
        gate=True,
        met=not dearer,
    )


def _bounded(names: list[str], small: Costs, large: Costs) -> list[Figure]:
    if not names:
        return []
    dearest = max(names, key=lambda name: large[name].pages)
    uneven = [name for name in names if _is_dearer(small[name], large[name]) or _is_dearer(large[name], small[name])]
    return [
        Figure(
            figure=f"the dearest page of {len(names)} with a filter or a search",
            value=large[dearest].pages,
            unit="pages",
            against=dearest,
            target=f"at most {MOST_PAGES:,}",
            gate=True,
            met=large[dearest].pages <= MOST_PAGES,
        ),
        Figure(
            figure="of these, how many differ by more than a tenth",
            value=len(uneven),
            unit="requests",
            against="what has fewer rows than a walk looks at costs less in the smaller database",
        ),
    ]


def _statements(small: Costs, large: Costs) -> Figure:
    # What there is no row of on a page, nothing is looked up for.
    alike = [name for name in small.keys() & large.keys() if small[name].rows == large[name].rows]
    differ = sorted(name for name in alike if small[name].statements != large[name].statements)
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


def _is_plain(name: str) -> bool:
    """Whether a request has no filter: its question is the name of a list, or a trace."""
    return " " not in name.split(" | ")[0]


def _is_dearer(one: Cost, other: Cost) -> bool:
    # An index over ten times the rows is a level taller: each time that it is entered costs a page more.
    return other.pages > one.pages + TOLERANCE * one.pages + other.lookups


def _rows(cost: Cost) -> str:
    return f"{cost.rows}{'+' if cost.has_more else ''}"


def _told_scans(*costs: Cost) -> str:
    scanned = sorted({table for cost in costs for table in cost.scanned})
    return f"  SCANS {', '.join(scanned)}" if scanned else ""
