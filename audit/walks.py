"""The indexes that lead through the trail: for the lists of the admin and of the API."""

from access.newest import Walks, by

AUDIT_WALKS = Walks(
    by={
        "correlation_id": by("correlation_id"),
        "subject_id": by("subject_id"),
        "actor": by("actor_id"),
    }
)

__all__ = ["AUDIT_WALKS"]
