"""
A send whose outcome nobody knows, as a person has to judge it: what would prove that it arrived, what has been seen,
and what the site does by itself. What settles it without a person: conversations.evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from conversations.models import Dialog, Direction, Dispatch, DispatchKind, DispatchState, Step
from conversations.services.operations import UNCERTAIN
from core.errors import Refused
from installations.models import UnknownPolicy

_MOST_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """looked_for: what would prove it. seen: sentences, each with whether it speaks for (good) or against (wait)."""

    row: Dispatch
    looked_for: Sequence[tuple[str, str]]
    seen: Sequence[tuple[str, str]]
    next_step: str
    advice: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """All of it as (name, value), for a page that asks before something is done."""
        looked_for = ", ".join(f"{name.lower()} {value}" for name, value in self.looked_for)
        return [
            ("Looked for", looked_for),
            ("Seen", " ".join(sentence for _, sentence in self.seen)),
            ("By itself", self.next_step),
            ("What to do", self.advice),
        ]


def is_doubtful(dispatch: Dispatch) -> bool:
    """Whether there is something to judge, or was."""
    return dispatch.state in UNCERTAIN or dispatch.possible_duplicate or dispatch.echo_sequence is not None


def evidence_of(dispatch: Dispatch) -> Evidence:
    """What there is to judge by; three statements at most."""
    if dispatch.direction == Direction.TO_CHANNEL:
        return _from_channel(dispatch)
    return Evidence(
        row=dispatch,
        looked_for=_looked_for(dispatch),
        seen=[*_own_echo(dispatch), *_numbers_since(dispatch), *_later_echoes(dispatch), *_doubled(dispatch)],
        next_step=_next_step(dispatch),
        advice=_advice(dispatch),
    )


def facts_of(dispatch: Dispatch) -> Sequence[tuple[str, str]]:
    """The same for the page that asks; nothing where nothing is in doubt."""
    return evidence_of(dispatch).facts if dispatch.state in UNCERTAIN else ()


def _from_channel(dispatch: Dispatch) -> Evidence:
    reported = dispatch.message is not None and dispatch.message.delivered_at is not None
    return Evidence(
        row=dispatch,
        looked_for=[("A report of the channel on", str(dispatch.pk))],
        seen=[("good", "The channel has reported on it.") if reported else ("wait", "The channel has told nothing.")],
        next_step=_next_step(dispatch),
        advice="Ask the channel's provider for this id. “Mark as sent” if it has it, “Send again” if it has not.",
    )


def _looked_for(dispatch: Dispatch) -> list[tuple[str, str]]:
    if dispatch.kind == DispatchKind.OPEN:
        return [("A notification of a new conversation of", dispatch.consumer.ext_consumer_id)]
    words = "the file that was uploaded for it" if dispatch.kind == DispatchKind.FILE else "the very same text"
    if dispatch.content_digest and dispatch.kind == DispatchKind.TEXT:
        words += f" (SHA-256 {bytes(dispatch.content_digest).hex()[:16]}…)"
    before = dispatch.sequence_before
    above = "any" if before is None or before < 0 else f"above {before}"
    return [
        ("A message of the consumer with", words),
        ("In dialog", dispatch.lp_dialog_id or "not chosen yet"),
        ("With a sequence", above),
    ]


def _own_echo(dispatch: Dispatch) -> list[tuple[str, str]]:
    if dispatch.echo_sequence is not None:
        return [("good", f"Its echo has come, with sequence {dispatch.echo_sequence}: it arrived.")]
    return [("wait", "Its echo has not come.")]


def _numbers_since(dispatch: Dispatch) -> list[tuple[str, str]]:
    """LivePerson numbers whatever is said: no number since means that nothing has been said since."""
    before = dispatch.sequence_before
    place = Dialog.objects.filter(conversation=dispatch.conversation_id, lp_dialog_id=dispatch.lp_dialog_id)
    dialog = place.first() if dispatch.conversation_id and before is not None else None
    if dialog is None or before is None:
        return []
    if dialog.last_sequence <= before:
        highest = "nothing was numbered before" if before < 0 else f"{before} is still the highest"
        return [("wait", f"LivePerson has numbered nothing in this dialog since ({highest}).")]
    known = set(dialog.ahead) | set(range(before + 1, (dialog.complete_to or before) + 1))
    untold = [number for number in range(before + 1, dialog.last_sequence + 1) if number not in known][:5]
    begun = "begun, up to" if before < 0 else f"gone on from {before} to"
    sentence = f"LivePerson's numbers have {begun} {dialog.last_sequence}."
    if untold:
        sentence += f" Nothing has come with {', '.join(map(str, untold))}: it may be one of these."
    return [("wait", sentence)]


def _later_echoes(dispatch: Dispatch) -> list[tuple[str, str]]:
    if dispatch.unknown_at is None or dispatch.conversation_id is None:
        return []
    later = Dispatch.objects.filter(channel=dispatch.channel_id, pk__gt=dispatch.pk).order_by("pk")
    nearest = list(later.values_list("echo_sequence", "finished_at", "step")[:_MOST_LOOKED_AT])
    back = [at for echo, at, step in nearest if echo is not None and step == Step.PUBLISH and _after(at, dispatch)]
    if not back:
        return [("wait", "Nothing sent after it on this channel has come back: it is not known that echoes flow.")]
    times = "One send" if len(back) == 1 else f"{len(back)} sends"
    return [("wait", f"{times} after it on this channel came back: echoes flow, and its own is missing.")]


def _after(at: datetime | None, dispatch: Dispatch) -> bool:
    return at is not None and dispatch.unknown_at is not None and at > dispatch.unknown_at


def _doubled(dispatch: Dispatch) -> list[tuple[str, str]]:
    if dispatch.duplicate_seen_at is not None:
        return [("bad", "It was sent again, and the first try has turned up after all: it stands there twice.")]
    return [("wait", "It has been sent again without knowing of the first try.")] if dispatch.possible_duplicate else []


def _next_step(dispatch: Dispatch) -> str:
    if dispatch.state == DispatchState.PARKED:
        return "Nothing: it waits for a person, and what came after it has gone on."
    if dispatch.state != DispatchState.UNKNOWN:
        return "Nothing: it is decided."
    if dispatch.error_code == Refused.code or dispatch.kind == DispatchKind.OPEN:
        return "It is sent again when its time has come: LivePerson advises that after such an answer."
    policy = UnknownPolicy(dispatch.channel.installation.unknown_policy)
    return {
        UnknownPolicy.AUTO: "It waits a little for its echo. Then it is sent again if a later send has come back, and "
        "is parked if none has.",
        UnknownPolicy.PARK: "It waits a little for its echo, and is parked then.",
        UnknownPolicy.HOLD: "It holds its lane until a person decides.",
    }[policy]


def _advice(dispatch: Dispatch) -> str:
    if dispatch.state not in UNCERTAIN:
        return "Nothing is left to do."
    return (
        "Look into the conversation in LivePerson's workspace. If these words stand there, “Mark as sent”. If they do "
        "not, “Send again”. If nobody needs them any more, “Drop”."
    )


__all__ = ["Evidence", "evidence_of", "facts_of", "is_doubtful"]
