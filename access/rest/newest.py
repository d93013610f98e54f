"""
How a list is read: newest first, each page at a price that does not grow with the table.

Ids grow with time, so a list is walked along an index that ends in the id. What has no index of its own is looked at
row by row, but never more than `STRETCH` rows for one page: such a page may be short, or empty, and still have a next
one (docs/decisions/0012-pages-that-cost-the-same.md).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

STRETCH = 4_000


@dataclass(frozen=True, kw_only=True)
class Listing:
    """
    What a list holds for one reader.

    branches: the table narrowed by what an index leads to, once for each range of an index that has to be walked.
    narrow: applies what no index leads to; None where nothing is left to apply.
    """

    branches: Sequence[QuerySet[Any]]
    narrow: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """next_below: where the next page begins, exclusive; None at the end of the list."""

    rows: list[Any]
    next_below: uuid.UUID | None


def read(listing: Listing, *, below: uuid.UUID | None, size: int) -> Page:
    """The newest rows with an id below this one, at most `size`; one or two statements."""
    bounds: dict[str, uuid.UUID] = {} if below is None else {"pk__lt": below}
    branches = [branch.filter(**bounds) for branch in listing.branches]
    end = None
    if listing.narrow is not None:
        end = _end_of_stretch(branches)
        branches = [listing.narrow(branch if end is None else branch.filter(pk__gte=end)) for branch in branches]
    rows = _newest(branches, size + 1)
    if len(rows) > size:
        return Page(rows=rows[:size], next_below=rows[size - 1].pk)
    return Page(rows=rows, next_below=end)


def _end_of_stretch(branches: Sequence[QuerySet[Any]]) -> uuid.UUID | None:
    """The oldest id that this page may look at; None where all that is left is near enough."""
    ends = [branch.order_by("-pk").values_list("pk", flat=True)[STRETCH : STRETCH + 1] for branch in branches]
    first, *others = ends
    # Each branch may be walked that far: together they are complete down to the newest of these ids.
    return max(first.union(*others, all=True) if others else first, default=None)


def _newest(branches: Sequence[QuerySet[Any]], count: int) -> list[Any]:
    # A filter that names a hidden row leaves nothing, and of nothing no union can be made.
    newest = [branch.order_by("-pk")[:count] for branch in branches if not branch.query.is_empty()]
    if len(newest) < 2:
        return list(newest[0]) if newest else []
    return list(newest[0].union(*newest[1:], all=True).order_by("-pk")[:count])
