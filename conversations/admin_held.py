"""What people do on a consumer's page about lanes that a restore holds."""

from __future__ import annotations

from typing import Any

from access.admin_deeds import Deed, ReasonForm, Told
from conversations.models import Consumer
from conversations.services import held_lanes
from core.actor import Actor


def _release(row: Consumer, given: dict[str, Any], actor: Actor) -> Told:
    doubled = 0
    for lane in row.lanes.filter(held_at__isnull=False):
        done = held_lanes.release(lane_id=lane.pk, actor=actor, reason=given["reason"])
        doubled += len(done.possible_duplicates)
    if not doubled:
        return Told(sentence="Released: nothing of it can arrive twice.")
    return Told(sentence=f"Released. Possible duplicates among it, marked as such: {doubled}.")


RELEASE_LANES = Deed(
    name="release",
    label="Release what a restore holds",
    icon="play_arrow",
    explain="Sends what waits for this consumer, both ways. What is unknown may have been sent before the restore: it "
    "is marked as a possible duplicate. First drop, or mark as sent, what you have seen where it would stand.",
    run=_release,
    offered=lambda row: row.lanes.filter(held_at__isnull=False).exists(),
    form=ReasonForm,
    tone="main",
)
