"""
How a list is read: newest first, each page at a price that does not grow with the table.

Ids grow with time, so a list is walked along an index that ends in the id. What has no index of its own is looked at
row by row, but never more than `STRETCH` rows for one page: such a page may be short, or empty, and still have a next
one (docs/decisions/0010-pages-that-cost-the-same.md).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import Func, Model, QuerySet, UUIDField, Value
from django.db.models.sql import Query
from django.db.models.sql.datastructures import BaseTable

from access.models import Brand
from access.rules import AllBrands, Person, brand_path_of, brands_of, limit
from core.ids import NO_ID

Way = Callable[[QuerySet[Any], Any], list[QuerySet[Any]]]
ModelT = TypeVar("ModelT", bound=Model)

STRETCH = 1_000
# Readers of more brands than this walk the newest rows of all brands, and look whose each is.
MOST_BRANCHES = 16


@dataclass(frozen=True, kw_only=True)
class Listing:
    """
    What a list holds for one reader.

    branches: the table narrowed by what an index leads to, once for each range of an index that has to be walked; made
    by `along`, or the whole table. narrow: applies what no index leads to; None where nothing is left to apply. guard:
    lets nothing pass that the reader may not see, where all that is walked is visible anyway.
    """

    branches: Sequence[QuerySet[Any]]
    narrow: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None
    guard: Callable[[QuerySet[Any]], QuerySet[Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Walks:
    """
    The indexes that lead through a table, beside that over (brand, -id).

    by: filters that an index which ends in the id leads to, the narrowest first, each with what it has walked.
    in_brand: columns of which, for these values, there is an index over (brand, column, -id): the few rows in trouble.
    """

    by: Mapping[str, Way] = field(default_factory=dict)
    in_brand: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    One filter that somebody asked for, checked.

    is_bound: it narrows the ids alone, so nothing has to be looked at for it. is_seen: it names a row that the reader
    may see; where it turned out that they may not, `narrowed` leaves nothing.
    """

    name: str
    value: Any
    narrowed: Callable[[QuerySet[Any]], QuerySet[Any]]
    is_bound: bool = False
    is_seen: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """next_below: where the next page begins, exclusive; None at the end of the list."""

    rows: list[Any]
    next_below: uuid.UUID | None

    def first(self, count: int) -> Page:
        """A page that ends sooner; the rest is the next one's."""
        if count >= len(self.rows):
            return self
        return Page(rows=self.rows[:count], next_below=self.rows[count - 1].pk)


def along(rows: QuerySet[ModelT], column: str, value: uuid.UUID | str) -> QuerySet[ModelT]:
    """
    The rows with this value, in the order of an index over (column, -id) and of no other; -column: over (column, id).

    Said plainly, an order by id can also be had from the primary key, and PostgreSQL walks that where it takes the
    value for frequent: past everything that was written since a channel fell silent. Of one out of two values it does
    not know that it is always the same, so only the right index has this order.
    """
    return rows.filter(**{f"{column.lstrip('-')}__in": (value, NO_ID)}).order_by(column, "-pk")


def along_each(rows: QuerySet[ModelT], column: str, values: Collection[uuid.UUID]) -> list[QuerySet[ModelT]]:
    """The same for each of a few values."""
    return [along(rows, column, value) for value in values] or [rows.none()]


def unforeseen(bound: uuid.UUID) -> Func:
    """
    An id to compare with, of which PostgreSQL knows beforehand only that it will be one.

    Where it knows how few rows lie beyond it, it reads them all along the primary key, of every brand, and sorts them:
    towards the end of a list a page then costs as much as what is left of the list.
    """
    return Func(Value(bound, output_field=UUIDField()), template="(SELECT %(expressions)s)", output_field=UUIDField())


def by(column: str) -> Way:
    """A filter by a column that an index leads to; see along."""
    return lambda rows, value: [along(rows, column, value)]


def brand_range(rows: QuerySet[ModelT], brand_id: uuid.UUID) -> list[QuerySet[ModelT]]:
    """The rows of one brand."""
    path = brand_path_of(rows.model)
    return [along(rows, path if path == "pk" else f"{path}_id", brand_id)]


def limit_each(rows: QuerySet[ModelT], person: Person) -> list[QuerySet[ModelT]]:
    """What access.rules.limit leaves, one range a brand; the table as it is where the reader sees every brand."""
    brands = brands_of(person)
    if isinstance(brands, AllBrands):
        return [rows]
    return [one for brand_id in sorted(brands) for one in brand_range(rows, brand_id)] or [rows.none()]


def listing_of(rows: QuerySet[ModelT], asked: Sequence[Asked], *, walks: Walks, reader: Person) -> Listing:
    """All rows that pass these filters and that the reader may see, by the index that leads to the fewest."""
    for one in asked:
        rows = one.narrowed(rows) if one.is_bound else rows
    filters = [one for one in asked if not one.is_bound]
    by_name = {one.name: one for one in filters}
    if rare := next((one for one in filters if one.value in walks.in_brand.get(one.name, ())), None):
        return _of_rare(rows, filters, rare=rare, reader=reader)
    led = next((by_name[name] for name in (*walks.by, "brand") if name in by_name), None)
    others = [one for one in filters if one is not led]
    branches = limit_each(rows, reader) if led is None else _led(rows, led, walks)
    if len(branches) > MOST_BRANCHES:
        return _of_all_brands(rows, filters, reader=reader)
    if led is not None and not led.is_seen:
        # Nobody has looked whose rows these are.
        return Listing(branches=branches, narrow=lambda any_row: _narrowed(limit(any_row, reader), others))
    return Listing(
        branches=branches,
        narrow=(lambda any_row: _narrowed(any_row, others)) if others else None,
        guard=None if led is None else lambda any_row: limit(any_row, reader),
    )


def _narrowed(rows: QuerySet[ModelT], asked: Sequence[Asked]) -> QuerySet[ModelT]:
    for one in asked:
        rows = one.narrowed(rows)
    return rows


def _of_all_brands(rows: QuerySet[ModelT], asked: Sequence[Asked], *, reader: Person) -> Listing:
    return Listing(branches=[rows], narrow=lambda any_row: _narrowed(limit(any_row, reader), asked))


def _led(rows: QuerySet[ModelT], led: Asked, walks: Walks) -> Sequence[QuerySet[ModelT]]:
    """The ranges that a filter leads to."""
    if led.narrowed(rows).query.is_empty():
        return [rows.none()]
    return walks.by[led.name](rows, led.value) if led.name in walks.by else brand_range(rows, led.value)


def _of_rare(rows: QuerySet[ModelT], filters: Sequence[Asked], *, rare: Asked, reader: Person) -> Listing:
    """By an index over (brand, column, -id): a walk for each brand that is asked for and that the reader sees."""
    brand = next((one for one in filters if one.name == "brand"), None)
    others = [one for one in filters if one not in (rare, brand)]
    brand_ids = _brand_ids(reader) if brand is None else _brand_ids(reader) & {brand.value}
    if len(brand_ids) > MOST_BRANCHES:
        return _of_all_brands(rows, filters, reader=reader)
    # By the brand's id: by the brand would be by its name.
    column = f"{brand_path_of(rows.model)}_id"
    branches = [
        one.filter(**{rare.name: rare.value}).order_by(column, rare.name, "-pk")
        for brand_id in sorted(brand_ids)
        for one in brand_range(rows, brand_id)
    ]
    return Listing(
        branches=branches or [rows.none()],
        narrow=(lambda any_row: _narrowed(any_row, others)) if others else None,
    )


def _brand_ids(reader: Person) -> frozenset[uuid.UUID]:
    """The brands that somebody sees; of all brands a few more than are walked one by one."""
    brands = brands_of(reader)
    if isinstance(brands, AllBrands):
        return frozenset(Brand.objects.values_list("pk", flat=True))
    return brands


def read(listing: Listing, *, below: uuid.UUID | None, size: int) -> Page:
    """The newest rows with an id below this one, at most `size`; one or two statements."""
    bounds: dict[str, Func] = {} if below is None else {"pk__lt": unforeseen(below)}
    # A filter that names a hidden row leaves nothing, and of nothing no union can be made.
    branches = [branch.filter(**bounds) for branch in listing.branches if not branch.query.is_empty()]
    if not branches:
        return Page(rows=[], next_below=None)
    end = None
    if listing.narrow is None:
        pages = [_looked_at(branch, size + 1) for branch in branches]
    else:
        end = _end_of_stretch(branches)
        # Beside the walk, not in it: a range that is thought to hold little would be sorted rather than walked.
        within = {} if end is None else {"pk__gte": end}
        pages = [listing.narrow(_looked_at(branch, STRETCH + 1).filter(**within)) for branch in branches]
    if listing.guard is not None:
        pages = [listing.guard(page) for page in pages]
    rows = _newest(pages, size + 1)
    return Page(rows=rows, next_below=end).first(size)


class _Walked(BaseTable):
    """Stands for a table in FROM: the first rows of a walk along it."""

    def __init__(self, table_name: str, alias: str | None, walk: Query) -> None:
        super().__init__(table_name, alias)
        self._walk = walk

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        sql, parameters = self._walk.get_compiler(connection=connection).as_sql()
        return f"({sql}) {compiler.quote_name_unless_alias(self.table_alias)}", parameters

    def relabeled_clone(self, change_map: dict[str | None, str]) -> _Walked:
        return _Walked(self.table_name, change_map.get(self.table_alias, self.table_alias), self._walk)

    @property
    def identity(self) -> tuple[Any, ...]:
        return (*super().identity, id(self._walk))


def _looked_at(walk: QuerySet[Any], count: int) -> QuerySet[Any]:
    """
    The first rows of a walk as a table of its own, so that whatever is filtered by or joined to, nothing else is read.

    Left to choose, PostgreSQL begins elsewhere: at what is joined, or with all rows that a filter is thought to leave.
    """
    order = walk.query.order_by or ("-pk",)
    rows = walk.order_by(*order)
    table = walk.model._default_manager.using(walk.db).order_by(*order)
    # What stands beside the rows is looked up for those alone that the page tells.
    table.query.select_related, rows.query.select_related = rows.query.select_related, False
    table._prefetch_related_lookups = rows._prefetch_related_lookups  # type: ignore[attr-defined]
    alias = table.query.get_initial_alias()
    name = walk.model._meta.db_table
    table.query.alias_map[alias] = _Walked(name, alias, rows[:count].query)
    return table


def _end_of_stretch(branches: Sequence[QuerySet[Any]]) -> uuid.UUID | None:
    """The oldest id that this page may look at; None where all that is left is near enough."""
    ends = [
        branch.select_related(None)
        .order_by(*(branch.query.order_by or ("-pk",)))
        .values_list("pk", flat=True)[STRETCH : STRETCH + 1]
        for branch in branches
    ]
    first, *others = ends
    # Each branch may be walked that far: together they are complete down to the newest of these ids.
    return max(first.union(*others, all=True) if others else first, default=None)


def _newest(pages: Sequence[QuerySet[Any]], count: int) -> list[Any]:
    newest = [page[:count] for page in pages if not page.query.is_empty()]
    if len(newest) < 2:
        return list(newest[0]) if newest else []
    return list(newest[0].union(*newest[1:], all=True).order_by("-pk")[:count])
