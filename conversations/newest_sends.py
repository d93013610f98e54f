"""The newest sends of each channel of a connector: what a page of it looks at, however many there are."""

from __future__ import annotations

from core.ids import NO_ID
from installations.models import AppInstallation, Channel

_CHANNELS = 20

# One of two: the index of the channel is walked, however silent the channel is; see access.newest.along.
_OF_EACH_CHANNEL = """
    (SELECT id FROM installations_channel WHERE {whose} = %(row)s ORDER BY id DESC LIMIT {channels}) channel
    CROSS JOIN LATERAL (
        SELECT id, channel_id, lane_id, direction, kind, state, error_code, attempt_count, finished_at,
               lp_sequence, echo_sequence
        FROM conversations_dispatch
        WHERE channel_id = ANY(ARRAY[channel.id, '{nobody}'::uuid]) AND id >= %(since)s
        ORDER BY channel_id, id DESC LIMIT %(newest)s
    ) send
"""


def newest_sends_of(row: AppInstallation | Channel) -> str:
    """What to select from, `send` by name. Values: row (its key), since (an id), newest (how many of each channel)."""
    whose = "id" if isinstance(row, Channel) else "installation_id"
    return _OF_EACH_CHANNEL.format(whose=whose, channels=_CHANNELS, nobody=NO_ID)
