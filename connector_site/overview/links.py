"""Where the rows behind a number stand: the lists, filtered as the number was."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from connector_site.rollups.series import Range
from conversations.admin_filters import ErrorCodeFilter

DELIVERIES, MESSAGES, DISPATCHES, CONVERSATIONS = (
    "webhooks_delivery",
    "conversations_message",
    "conversations_dispatch",
    "conversations_conversation",
)


@dataclass(frozen=True, kw_only=True)
class Links:
    """
    Of one time range, and of one brand or of all that the reader sees.

    The lists take rows of a range by when they were made, and the figures by when something came to its end: at the
    edges of a range the two may differ by what was under way.
    """

    asked: Range
    brand_id: uuid.UUID | None = None

    def now(self, listed: str, **filters: str) -> str:
        """Rows in a state that they are in now, whenever they were made."""
        brand = {"brand": str(self.brand_id)} if self.brand_id else {}
        asked = urlencode({**brand, **filters})
        return f"{reverse(f'admin:{listed}_changelist')}?{asked}" if asked else reverse(f"admin:{listed}_changelist")

    def lately(self, listed: str, **filters: str) -> str:
        """Rows made within the time range."""
        return self.now(listed, since=self.asked.since, **filters)

    def ended(self, state: str, direction: str, error_code: str = "") -> str:
        """Sends that came to this end; by what went wrong where the list can be filtered by it."""
        offered = {code for code, _ in ErrorCodeFilter.words()}
        cause = {"error_code": error_code} if error_code in offered else {}
        return self.lately(DISPATCHES, state=state, direction=direction, **cause)
