"""What a request costs: its statements, and the pages that PostgreSQL touches to answer them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

LOG_TABLES = frozenset(
    {
        "conversations_consumer",
        "conversations_conversation",
        "conversations_message",
        "conversations_messagecontent",
        "conversations_dispatch",
        "conversations_attempt",
        "conversations_lane",
        "webhooks_delivery",
        "webhooks_event",
        "webhooks_seen",
        "audit_auditentry",
    }
)


_RECORDS = (
    'INSERT INTO "audit_auditentry"',
    'SELECT "access_brand"."held_at"',  # the names of the brands in whose trail it stands
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """
    statements: those that record in the trail what was opened are left out: there is one for each brand of which there
    were words on the page. pages: buffers of tables and indexes, found in memory or read. lookups: how often an index
    was entered at its root.
    scanned: log tables that were read as a whole.
    """

    statements: int
    pages: int
    lookups: int
    rows: int
    has_more: bool
    scanned: tuple[str, ...]


class Recorder:
    """Notes the statements of what runs inside."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements.append((sql, params))
        return execute(sql, params, many, context)


def cost_of(client: Any, address: str, body: Any = None) -> Cost:
    """Make a request, and explain each of its statements. Raises SystemExit for an answer that is not 200."""
    return cost_of_page(client, address, body)[0]


def cost_of_page(client: Any, address: str, body: Any = None) -> tuple[Cost, str]:
    """The same, with the address of the next page; empty where there is none."""
    answer, statements = asked(lambda: client.get(address) if body is None else _posted(client, address, body))
    told = json.loads(answer.content)
    listed, following = (told.get("results"), told.get("next")) if isinstance(told, dict) else (None, None)
    rows = len(listed) if isinstance(listed, list) else 0
    return priced(statements, rows=rows, has_more=bool(following)), following or ""


def _posted(client: Any, address: str, body: Any) -> Any:
    return client.post(address, body, content_type="application/json")


def asked(ask: Callable[[], Any]) -> tuple[Any, list[tuple[str, Any]]]:
    """The answer to a request, and its statements. Raises SystemExit for an answer that is not 200."""
    recorder = Recorder()
    with connection.execute_wrapper(recorder):
        answer = ask()
        content = answer.content
    if answer.status_code != 200:
        raise SystemExit(f"{answer.request['PATH_INFO']} was answered {answer.status_code}: {content[:300]!r}")
    return answer, recorder.statements


def priced(statements: Sequence[tuple[str, Any]], *, rows: int, has_more: bool) -> Cost:
    """What these statements cost. rows, has_more: what the answer was."""
    plans = [plan for sql, params in statements if (plan := _explained(sql, params)) is not None]
    return Cost(
        statements=sum(not sql.startswith(_RECORDS) for sql, _ in statements),
        pages=sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans),
        lookups=sum(searches for plan in plans for searches in _searches(plan)),
        rows=rows,
        has_more=has_more,
        scanned=tuple(sorted({name for plan in plans for name in _scanned(plan)})),
    )


def cost_of_pages(ask: Callable[[str], tuple[Cost, str]], address: str, count: int) -> Cost:
    """
    Of one page, by the mean of as many that follow each other: how rows lie in a table differs from page to page.

    ask: makes a request, and tells what it costs and where the next page is.
    """
    costs: list[Cost] = []
    while address and len(costs) < count:
        cost, address = ask(address)
        costs.append(cost)
    # The last page of a list, which is not full, costs less than the others.
    full = [cost for cost in costs if cost.rows == costs[0].rows]
    return mean_of(full)


def mean_of(costs: Sequence[Cost]) -> Cost:
    """What one of several requests of a kind costs; the statements of the one that needs most."""
    return Cost(
        statements=max(cost.statements for cost in costs),
        pages=round(sum(cost.pages for cost in costs) / len(costs)),
        lookups=round(sum(cost.lookups for cost in costs) / len(costs)),
        rows=costs[0].rows,
        has_more=costs[0].has_more,
        scanned=tuple(sorted({table for cost in costs for table in cost.scanned})),
    )


def _explained(sql: str, params: Any) -> dict[str, Any] | None:
    """The plan as it ran; None for what has none, and for the few that write: the use of a key."""
    if not sql.lstrip(" (\n").upper().startswith(("SELECT", "WITH")):
        return None
    with transaction.atomic(), connection.cursor() as cursor:
        # Whatever the first run leaves to be tidied up, the second one does not pay for.
        for _ in range(2):
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", params)
            ((found,),) = cursor.fetchall()
        transaction.set_rollback(True)
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def _searches(plan: dict[str, Any]) -> Iterator[int]:
    # Ids that lie on one leaf PostgreSQL takes on one way; among more rows each may have a leaf of its own.
    by_ids = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Index Name", "").endswith("_pkey") else 0
    yield max(plan.get("Index Searches", 0), int(by_ids))
    for below in plan.get("Plans", ()):
        yield from _searches(below)


def _scanned(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in LOG_TABLES:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from _scanned(below)
