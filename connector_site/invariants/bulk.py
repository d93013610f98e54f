"""The promises about jobs over many rows: each row once, and what a job says of itself is so."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant

INVARIANTS = [
    Invariant(
        name="bulk_row_is_done_once",
        promise="What a job did to a row stands in the trail under the job's id, once.",
        sql="""
            SELECT item.id, item.job_id, item.target_id FROM connector_site_bulkitem item
            WHERE item.state = 'DONE'
              AND (SELECT count(*) FROM audit_auditentry act
                   WHERE act.correlation_id <> '' AND act.correlation_id = item.job_id::text
                     AND act.subject_id = item.target_id::text
                     AND act.action IN ('dispatch.resent', 'dispatch.dropped', 'delivery.reapplied')) <> 1
        """,
    ),
    Invariant(
        name="bulk_job_counts_its_rows",
        promise="A job's counts are those of its rows, and one that is done has no row that waits.",
        sql="""
            SELECT job.id, job.state, job.total FROM connector_site_bulkjob job
            LEFT JOIN LATERAL (
                SELECT count(*) AS total, count(*) FILTER (WHERE item.state = 'DONE') AS done,
                       count(*) FILTER (WHERE item.state = 'SETTLED') AS settled,
                       count(*) FILTER (WHERE item.state = 'REFUSED') AS refused,
                       count(*) FILTER (WHERE item.state = 'WAITING') AS waiting
                FROM connector_site_bulkitem item WHERE item.job_id = job.id) rows ON true
            WHERE (job.total, job.done_count, job.settled_count, job.refused_count)
                  <> (rows.total, rows.done, rows.settled, rows.refused)
               OR (job.state = 'DONE' AND rows.waiting > 0)
        """,
    ),
]
