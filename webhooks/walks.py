"""The indexes that lead through deliveries: for the lists of the admin and of the API."""

from access.newest import Walks, by

DELIVERY_WALKS = Walks(
    # An inbox has the id of its source.
    by={"installation": by("inbox_id"), "channel": by("inbox_id")},
    in_brand={"state": ("QUARANTINED", "DEAD")},
)

__all__ = ["DELIVERY_WALKS"]
