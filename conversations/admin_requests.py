"""
What an attempt asked of the other side, for people who look into a failure.

Requests are not kept: this is told from the dispatch as it stands, in the shape in which the clients of LivePerson and
of the channels send it. Tokens and words have no place here; what was said stands with the message.
"""

from __future__ import annotations

import json
from typing import Any

from conversations.models import Dispatch, DispatchKind, Step
from liveperson.text import request_object, text_event

_SEND = "POST /api/account/…/messaging/consumer/{}?v=3"
_LINES = {
    Step.IDENTIFY: "POST /api/account/…/consumer",
    Step.OPEN: _SEND.format("conversation"),
    Step.UPLOAD: _SEND.format("send"),
    Step.FETCH: _SEND.format("send"),
    Step.PUBLISH: _SEND.format("send"),
    Step.SEND: "POST to the channel",
}
_TYPES = {
    DispatchKind.CLOSE: "cm.UpdateConversationField",
    DispatchKind.PROFILE: "userprofile.SetUserProfile",
}


def request_of(dispatch: Dispatch, step: str) -> str:
    """The request of one step, redacted; empty for a step that is not known."""
    line = _LINES.get(Step(step)) if step in Step.values else None
    if line is None:
        return ""
    body = _body(dispatch, Step(step))
    return f"{line}\n{json.dumps(body, ensure_ascii=False, indent=2)}" if body else line


def _body(dispatch: Dispatch, step: Step) -> dict[str, Any] | list[dict[str, Any]]:
    hex_id = dispatch.pk.hex
    if step == Step.OPEN:
        return [
            request_object(
                request_id=f"{hex_id}-1", type="userprofile.SetUserProfile", body="(the consumer's profile)"
            ),
            request_object(request_id=f"{hex_id}-2", type="cm.ConsumerRequestConversation", body="(the routing)"),
        ]
    if step == Step.UPLOAD:
        return request_object(request_id="(new)", type="ms.GenerateURLForUploadFile", body="(size and type)")
    if step == Step.FETCH:
        return request_object(request_id="(new)", type="ms.GenerateURLForDownloadFile", body="(path)")
    if step == Step.SEND:
        return {"id": str(dispatch.pk), "kind": dispatch.kind, **_facts(dispatch)}
    if step == Step.PUBLISH:
        kind = _TYPES.get(DispatchKind(dispatch.kind), "ms.PublishEvent")
        return request_object(request_id=hex_id, type=kind, body=_published(dispatch))
    return {}


def _published(dispatch: Dispatch) -> Any:
    if dispatch.kind == DispatchKind.TEXT:
        return text_event(conversation_id="(its own)", dialog_id=dispatch.lp_dialog_id, text=_words(dispatch))
    return {"dialogId": dispatch.lp_dialog_id, "event": dispatch.get_kind_display(), **_facts(dispatch)}


def _words(dispatch: Dispatch) -> str:
    part = f", {dispatch.part}" if dispatch.part else ""
    return f"(the words of the message{part})"


def _facts(dispatch: Dispatch) -> dict[str, Any]:
    """Numbers and states only: metadata of a choice, and ids that a channel made, may hold anything."""
    known = ("part", "of", "attachment", "sequences", "status", "on", "reason")
    return {name: dispatch.payload[name] for name in known if name in dispatch.payload}


__all__ = ["request_of"]
