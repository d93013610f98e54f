"""
Lanes that a restore holds: what the backup still had to send may have been sent since, and nobody here knows.

Nothing leaves a held lane. What may have arrived stands in it as unknown until evidence or a person settles it; once
nothing in it is in doubt any more it needs nobody, and goes on by itself.
"""

from __future__ import annotations

from audit import api as audit
from conversations import lanes
from conversations.models import Dispatch, DispatchState, Lane
from core.actor import SYSTEM


def let_go_when_settled(lane: Lane) -> bool:
    """Free a held lane in which nothing is in doubt any more. The caller holds the consumer's mutex."""
    if lane.held_at is None or Dispatch.objects.filter(lane=lane, state=DispatchState.UNKNOWN).exists():
        return False
    lanes.let_go(lane.pk)
    data = {"held_since": lane.held_at.isoformat(), "possible_duplicates": []}
    audit.record("lane.released", actor=SYSTEM, subject=lane, data=data, reason="Everything in doubt was settled.")
    lane.held_at = None
    return True
