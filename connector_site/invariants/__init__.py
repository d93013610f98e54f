"""
The promises that can be checked in the database: each is a query that must return no row.

Run by `manage.py check_invariants`, by every crash test, and in production. `promise` says in a sentence what a
returned row breaks. A row names itself by ids only: never by what somebody said.
"""

from __future__ import annotations

from connector_site.invariants import bulk, conversations, counted, inbox, kept, outbox
from connector_site.invariants.asking import Breach, Invariant, as_json, check
from connector_site.invariants.brands import one_brand_along_every_link


def all_invariants() -> list[Invariant]:
    """Every promise that can be asked of the database."""
    parts = (inbox, outbox, conversations, kept, counted, bulk)
    written = [one for part in parts for one in part.INVARIANTS]
    return [*written, one_brand_along_every_link()]


__all__ = ["Breach", "Invariant", "all_invariants", "as_json", "check"]
