"""What an event did, for the record of the inbox."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass

from conversations.sequences import Seen


class EffectKind(enum.StrEnum):
    """Named as the inbox's outcomes are."""

    APPLIED = "APPLIED"
    DUPLICATE = "DUPLICATE"
    ECHO = "ECHO"
    STALE = "STALE"
    IGNORED = "IGNORED"


@dataclass(frozen=True, kw_only=True)
class Effect:
    kind: EffectKind
    message_id: uuid.UUID | None = None
    detail: str = ""
    # Of an event that has a place in its dialog: which.
    seen: Seen | None = None


APPLIED = Effect(kind=EffectKind.APPLIED)


def ignored(why: str) -> Effect:
    """The event is understood and of no use here."""
    return Effect(kind=EffectKind.IGNORED, detail=why)
