"""The request types of SEND, each as one function: (world, caller, request, client properties) -> answer item."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import swift
from .errors import bad_request, item
from .identity import Caller
from .models import Conversation, Dialog

if TYPE_CHECKING:
    from .world import World

Handler = Callable[["World", Caller, dict[str, Any], dict[str, Any]], dict[str, Any]]

CLOSED = "Bad Request, Conversation is close"
CHAT_STATES = ("ACTIVE", "INACTIVE", "GONE", "COMPOSING", "PAUSE")
RECEIPTS = ("ACCEPT", "READ", "ACCESS", "NACK", "ACTION")
MAX_PREVIEW = 30 * 1024
_TTR_TYPES = ("NORMAL", "PRIORITIZED", "URGENT", "CUSTOM")
_CSAT_STATUSES = ("FILLED", "PARTIALLY_FILLED", "SKIPPED")


# -- profile


def set_profile(world: "World", caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Keep the members that were sent; others stay as they were."""
    body = request.get("body", {})
    if body:
        caller.consumer.profile = {**caller.consumer.profile, **body}
        world.state.save_consumer(caller.account, caller.consumer)
    return item("OK", {"msg": "OK User Profile set successfully"}, request["id"])


def _set_profile(world: "World", caller: Caller, request: dict[str, Any], _properties: Any) -> dict[str, Any]:
    return set_profile(world, caller, request)


# -- which conversation


def _conversation(caller: Caller, request: dict[str, Any], conversation_id: Any) -> Conversation:
    if not isinstance(conversation_id, str):
        raise bad_request(request["id"])
    found = caller.account.conversations.get(conversation_id)
    if found is None:
        raise bad_request(request["id"], msg="Bad Request, Conversation does not exist")
    if found.lp_consumer_id != caller.consumer.lp_id:
        raise bad_request(request["id"], msg="Unauthorized", status=401)
    return found


def _follow_features(world: "World", caller: Caller, conversation: Conversation, properties: dict[str, Any]) -> None:
    """A feature counts only while every request announces it."""
    features = [one for one in properties.get("features", []) if isinstance(one, str)]
    if features != conversation.features:
        conversation.features = features
        world.messaging.saved(caller.account, conversation)


# -- ms.PublishEvent


def publish(world: "World", caller: Caller, request: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    body = request.get("body", {})
    dialog_id = body.get("dialogId")
    event = body.get("event")
    if not isinstance(dialog_id, str) or not isinstance(event, dict):
        raise bad_request(request["id"])
    conversation = _conversation(caller, request, body.get("conversationId", dialog_id))
    _follow_features(world, caller, conversation, properties)
    dialog = conversation.dialog(dialog_id)
    if dialog is None:
        raise bad_request(request["id"])
    if dialog.state == "CLOSE" or conversation.stage == "CLOSE":
        raise bad_request(request["id"], msg=CLOSED)
    kind = event.get("type")
    publisher = _EVENTS.get(kind) if isinstance(kind, str) else None
    if publisher is None:
        raise bad_request(request["id"])
    sequence = publisher(world, caller, conversation, dialog, request)
    return item("OK", {"sequence": sequence}, request["id"])


def _content(
    world: "World", caller: Caller, conversation: Conversation, dialog: Dialog, request: dict[str, Any]
) -> int:
    event = request["body"]["event"]
    if event.get("contentType") == "text/plain":
        fits = isinstance(event.get("message"), str) and bool(event["message"])
    elif event.get("contentType") in ("hosted/file", "HostedFile"):
        fits = _is_own_file(world, caller, event.get("message"))
    else:
        fits = False
    if not fits:
        raise bad_request(request["id"])
    return world.messaging.consumer_content(
        caller.account, conversation, dialog=dialog, event=event, metadata=request.get("metadata")
    )


def _is_own_file(world: "World", caller: Caller, message: Any) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("fileType"), str):
        return False
    preview = message.get("preview")
    if preview is not None and (not isinstance(preview, str) or len(preview) >= MAX_PREVIEW):
        return False
    stored = world.state.files.get(str(message.get("relativePath")))
    return stored is not None and stored.account == caller.account.id and stored.size is not None


def _rich(world: "World", caller: Caller, conversation: Conversation, dialog: Dialog, request: dict[str, Any]) -> int:
    event = request["body"]["event"]
    if not isinstance(event.get("content", event.get("message")), dict):
        raise bad_request(request["id"])
    return _stored(world, caller, conversation, dialog, request)


def _receipt(
    world: "World", caller: Caller, conversation: Conversation, dialog: Dialog, request: dict[str, Any]
) -> int:
    event = request["body"]["event"]
    sequences = event.get("sequenceList")
    counted = isinstance(sequences, list) and all(type(one) is int and one >= 0 for one in sequences)
    if event.get("status") not in RECEIPTS or not counted or not sequences:
        raise bad_request(request["id"])
    return _stored(world, caller, conversation, dialog, request)


def _stored(world: "World", caller: Caller, conversation: Conversation, dialog: Dialog, request: dict[str, Any]) -> int:
    return world.messaging.publish(
        caller.account,
        conversation,
        dialog_id=dialog.id,
        role="CONSUMER",
        originator_id=caller.consumer.lp_id,
        events=[request["body"]["event"]],
        metadata=request.get("metadata"),
    )[0]


def _chat_state(
    world: "World", caller: Caller, conversation: Conversation, dialog: Dialog, request: dict[str, Any]
) -> int:
    state = request["body"]["event"].get("chatState")
    # A survey dialog does not take chat states: LivePerson's demo connector stops sending them there.
    if state not in CHAT_STATES or dialog.type == "POST_SURVEY":
        raise bad_request(request["id"])
    world.messaging.chat_state(
        caller.account,
        conversation,
        dialog_id=dialog.id,
        role="CONSUMER",
        originator_id=caller.consumer.lp_id,
        state=state,
    )
    return 0


_EVENTS: dict[str, Callable[["World", Caller, Conversation, Dialog, dict[str, Any]], int]] = {
    "ContentEvent": _content,
    "RichContentEvent": _rich,
    "AcceptStatusEvent": _receipt,
    "ChatStateEvent": _chat_state,
}


# -- cm.UpdateConversationField


def update_field(world: "World", caller: Caller, request: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """One field, bare or as a list; each has its own rules."""
    body = request.get("body", {})
    conversation = _conversation(caller, request, body.get("conversationId"))
    _follow_features(world, caller, conversation, properties)
    given = body.get("conversationField")
    fields = given if isinstance(given, list) else [given]
    updates = [(_FIELDS.get(one.get("field")) if isinstance(one, dict) else None, one) for one in fields]
    if not updates or any(update is None for update, _ in updates):
        raise bad_request(request["id"])
    msg = ""
    for update, one in updates:
        msg = update(world, caller, conversation, one, request)  # type: ignore[misc]
    return item("OK", {"msg": msg}, request["id"])


def _close_state(
    world: "World", caller: Caller, conversation: Conversation, field: dict[str, Any], request: dict[str, Any]
) -> str:
    if field.get("conversationState") != "CLOSE":
        raise bad_request(request["id"])
    _close_main(world, caller, conversation, request, cause="Closed by consumer")
    return "OK Conversation resolved successfully"


def _close_main(
    world: "World", caller: Caller, conversation: Conversation, request: dict[str, Any], *, cause: str
) -> None:
    if conversation.state == "CLOSE":
        raise bad_request(request["id"], msg=CLOSED)
    world.messaging.close_main(caller.account, conversation, by="CONSUMER", cause=cause, may_survey=True)


def _close_dialog(
    world: "World", caller: Caller, conversation: Conversation, field: dict[str, Any], request: dict[str, Any]
) -> str:
    wanted = field.get("dialog")
    if field.get("type") != "UPDATE" or not isinstance(wanted, dict) or wanted.get("state") != "CLOSE":
        raise bad_request(request["id"])
    dialog = conversation.dialog(str(wanted.get("dialogId")))
    if dialog is None:
        raise bad_request(request["id"])
    cause = str(wanted.get("closedCause", "Closed by consumer"))
    if dialog is conversation.main:
        _close_main(world, caller, conversation, request, cause=cause)
    elif dialog.state == "CLOSE":
        raise bad_request(request["id"], msg=CLOSED)
    else:
        world.messaging.close_all(caller.account, conversation, by="CONSUMER", cause=cause)
    return "OK Dialog closed successfully"


def _close_stage(
    world: "World", caller: Caller, conversation: Conversation, field: dict[str, Any], request: dict[str, Any]
) -> str:
    if field.get("conversationState") != "CLOSE":
        raise bad_request(request["id"])
    if conversation.stage == "CLOSE":
        raise bad_request(request["id"], msg=CLOSED)
    world.messaging.close_all(caller.account, conversation, by="CONSUMER", cause="Closed by consumer")
    return "OK Conversation resolved successfully"


def _rate(
    world: "World", caller: Caller, conversation: Conversation, field: dict[str, Any], request: dict[str, Any]
) -> str:
    rate, resolved, status = (field.get(name) for name in ("csatRate", "csatResolutionConfirmation", "status"))
    if type(rate) is not int or not 1 <= rate <= 5 or not isinstance(resolved, bool) or status not in _CSAT_STATUSES:
        raise bad_request(request["id"])
    conversation.csat = {"csatRate": rate, "csatResolutionConfirmation": resolved, "status": status}
    world.messaging.changed(caller.account, conversation)
    return "OK CSAT set successfully"


def _set_ttr(
    world: "World", caller: Caller, conversation: Conversation, field: dict[str, Any], request: dict[str, Any]
) -> str:
    kind, value_s = field.get("ttrType"), field.get("value")
    if kind not in _TTR_TYPES or not isinstance(value_s, int | float) or isinstance(value_s, bool) or value_s < 0:
        raise bad_request(request["id"])
    if conversation.state == "CLOSE":
        raise bad_request(request["id"], msg=CLOSED)
    conversation.ttr = {"ttrType": kind, "value": value_s}
    world.messaging.changed(caller.account, conversation)
    return "OK TTR set successfully"


_FIELDS: dict[Any, Callable[["World", Caller, Conversation, dict[str, Any], dict[str, Any]], str]] = {
    "ConversationStateField": _close_state,
    "DialogChange": _close_dialog,
    "Stage": _close_stage,
    "CSATRate": _rate,
    "TTRField": _set_ttr,
}


# -- files


def _upload_url(world: "World", caller: Caller, request: dict[str, Any], _properties: Any) -> dict[str, Any]:
    body = request.get("body", {})
    place = swift.new_place(
        world,
        caller.account,
        owner=caller.consumer.lp_id,
        file_size=body.get("fileSize"),
        file_type=body.get("fileType"),
    )
    if place is None:
        raise bad_request(request["id"])
    return item("OK", swift.temp_url(world, path=place.path, method="PUT"), request["id"])


def _download_url(world: "World", caller: Caller, request: dict[str, Any], _properties: Any) -> dict[str, Any]:
    stored = world.state.files.get(str(request.get("body", {}).get("relativePath")))
    if stored is None or stored.account != caller.account.id:
        raise bad_request(request["id"])
    return item("OK", swift.temp_url(world, path=stored.path, method="GET"), request["id"])


REQUESTS: dict[str, Handler] = {
    "ms.PublishEvent": publish,
    "cm.UpdateConversationField": update_field,
    "userprofile.SetUserProfile": _set_profile,
    "ms.GenerateURLForUploadFile": _upload_url,
    "ms.GenerateURLForDownloadFile": _download_url,
}
