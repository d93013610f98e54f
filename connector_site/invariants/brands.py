"""The promise about brands: made from the models, so that a new one is asked about without being named here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models

from access.rules import brand_path_of
from connector_site.invariants.asking import Invariant

_SOURCE_OF_SEEN = """
    SELECT 'webhooks_seen.source_id' AS link, child.id::text AS id, child.brand_id AS brand, parent.brand_id AS other
    FROM webhooks_seen child JOIN webhooks_inbox parent ON parent.id = child.source_id
    WHERE child.brand_id <> parent.brand_id
"""


def one_brand_along_every_link() -> Invariant:
    """A query over every foreign key that leads from one row with a brand to another."""
    queries = [sql for model in apps.get_models() for sql in _links_of(model)]
    return Invariant(
        name="one_brand_along_every_link",
        promise="A row and everything that it points to are of one brand.",
        sql=" UNION ALL ".join([*queries, _SOURCE_OF_SEEN]),
    )


def _links_of(model: type[models.Model]) -> Iterator[str]:
    """A query for each foreign key of a model that leads from one row with a brand to another."""
    if not _has_brand(model):
        return
    child_joins, child_brand = _way_to_brand(model, "child")
    for field in model._meta.get_fields():
        if not isinstance(field, models.ForeignKey) or not _has_brand(field.related_model):
            continue
        parent_joins, parent_brand = _way_to_brand(field.related_model, "parent")
        key = f"parent.{field.target_field.column}"
        yield (
            f"SELECT '{model._meta.db_table}.{field.column}' AS link, child.{model._meta.pk.column}::text AS id,"  # noqa: S608
            f" {child_brand} AS brand, {parent_brand} AS other"
            f" FROM {model._meta.db_table} child {child_joins}"
            f" JOIN {field.related_model._meta.db_table} parent ON {key} = child.{field.column} {parent_joins}"
            f" WHERE {child_brand} <> {parent_brand}"
        )


def _has_brand(model: Any) -> bool:
    return hasattr(model, "brand_path") and brand_path_of(model) != "pk"


def _way_to_brand(model: type[models.Model], alias: str) -> tuple[str, str]:
    """The joins from a model to its brand, and the column that holds it."""
    joins = ""
    *steps, last = brand_path_of(model).split("__")
    for number, step in enumerate(steps):
        field: Any = model._meta.get_field(step)
        model, owner, alias = field.related_model, alias, f"{alias}_{number}"
        joins += f" JOIN {model._meta.db_table} {alias} ON {alias}.{field.target_field.column} = {owner}.{field.column}"
    column: Any = model._meta.get_field(last)
    return joins, f"{alias}.{column.column}"
