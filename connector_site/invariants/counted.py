"""The promise about what is counted: the last finished hours, row by row."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant
from connector_site.models import Counting
from connector_site.rollups import counting

_WALKS = ", ".join(f"'{counting.walk_name(source, Counting.FINAL)}'" for source in counting.COUNTED)


def _first_id(moment: str) -> str:
    """The first id of a moment, as core.ids makes it."""
    milliseconds = f"ceil(extract(epoch FROM {moment}) * 1000)::bigint"
    return f"rpad(lpad(to_hex({milliseconds}), 12, '0'), 32, '0')::uuid"


# Of whole hours: those before the one that the last of the walks has come to.
_REACHED = f"""
    SELECT from_at, to_at, {_first_id("from_at")} AS from_id, {_first_id("to_at")} AS to_id FROM (
        SELECT last.to_at - interval '3 hours' AS from_at, last.to_at FROM (
            SELECT date_bin('1 hour', min(counted_to), '2000-01-01T00:00:00Z') AS to_at FROM conversations_usagewalk
            WHERE name IN ({_WALKS}) HAVING count(counted_to) = {len(counting.COUNTED)}) last) reached
"""  # noqa: S608 -- constants of ours


INVARIANTS = [
    Invariant(
        name="counts_are_those_of_the_rows",
        promise=(
            "What the dashboard shows of an hour that is over is what happened: its webhooks, messages and accepted "
            "sends, each counted once for its source and once for its brand."
        ),
        sql=f"""
            WITH reached AS ({_REACHED}), found AS (
                SELECT brand_id, inbox_id AS source_id, CASE WHEN channel_id IS NULL THEN 'DELIVERIES_FROM_LIVEPERSON'
                    ELSE 'DELIVERIES_FROM_CHANNEL' END AS figure, count(*) AS number
                FROM webhooks_delivery
                WHERE id >= (SELECT from_id FROM reached) AND id < (SELECT to_id FROM reached) GROUP BY 1, 2, 3
                UNION ALL
                SELECT brand_id, channel_id, CASE WHEN audience = 'STAFF' THEN 'PRIVATE_NOTES'
                    ELSE 'MESSAGES_' || direction END, count(*)
                FROM conversations_message
                WHERE id >= (SELECT from_id FROM reached) AND id < (SELECT to_id FROM reached) GROUP BY 1, 2, 3
                UNION ALL
                SELECT brand_id, channel_id, 'SENT_' || direction, count(*) FROM conversations_dispatch
                WHERE finished_at >= (SELECT from_at FROM reached) AND finished_at < (SELECT to_at FROM reached)
                  AND state = 'SENT' GROUP BY 1, 2, 3
            ), expected AS (
                SELECT brand_id, source_id, figure, number FROM found
                UNION ALL SELECT brand_id, NULL, figure, sum(number) FROM found GROUP BY brand_id, figure
            ), counted AS (
                SELECT brand_id, source_id, figure, sum(count) AS number FROM connector_site_rollupcount
                WHERE span = 3600 AND counting = 'FINAL' AND at >= (SELECT from_at FROM reached)
                  AND at < (SELECT to_at FROM reached)
                  AND (figure IN ('PRIVATE_NOTES', 'SENT_TO_LIVEPERSON', 'SENT_TO_CHANNEL')
                       OR figure LIKE 'DELIVERIES~_%' ESCAPE '~' OR figure LIKE 'MESSAGES~_%' ESCAPE '~')
                GROUP BY 1, 2, 3
            )
            SELECT brand_id, source_id, figure, sum(rows) AS rows, sum(counted) AS counted FROM (
                SELECT brand_id, source_id, figure, number AS rows, 0 AS counted FROM expected
                UNION ALL SELECT brand_id, source_id, figure, 0, number FROM counted
            ) both_ways GROUP BY brand_id, source_id, figure HAVING sum(rows) <> sum(counted)
        """,  # noqa: S608 -- constants of ours
    ),
]
