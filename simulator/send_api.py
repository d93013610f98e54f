"""
The Send API: CONVERSATION (opens, a batch of two) and SEND (everything else, one request).

Sources: developers.liveperson.com/connector-api-send-api-conversation.html, …-send.html, …-examples.html,
sendapi-error-codes.html
"""

import json
from typing import TYPE_CHECKING, Any

from .errors import ApiError, auth_error, bad_request, item
from .identity import Caller, require_caller
from .messaging import TTR_SECONDS
from .send_requests import REQUESTS, set_profile
from .wire import Answer, Call, json_answer

if TYPE_CHECKING:
    from .world import World

MAX_CHARACTERS = 5000
_CLIENT_PROPERTIES = (".ClientProperties", "ClientProperties", ".ams.headers.ClientProperties")


def _require_version(call: Call) -> None:
    if call.query.get("v") != "3":
        raise bad_request(None)


def _client_properties(call: Call) -> dict[str, Any]:
    """Return the header as an object; features that it leaves out count as unsupported."""
    raw = call.headers.get("client-properties")
    if raw is None:
        return {}
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") not in _CLIENT_PROPERTIES:
        raise bad_request(None)
    if not isinstance(found.get("features", []), list):
        raise bad_request(None)
    return found


def _features(properties: dict[str, Any]) -> list[str]:
    return [one for one in properties.get("features", []) if isinstance(one, str)]


def _request(found: Any) -> dict[str, Any]:
    """Check the envelope that every request shares; ids are texts or numbers and need not be unique."""
    if not isinstance(found, dict):
        raise bad_request(None)
    request_id = found.get("id")
    known_id = isinstance(request_id, int) or (isinstance(request_id, str) and 1 <= len(request_id) <= 64)
    if not known_id or isinstance(request_id, bool):
        raise bad_request(None)
    metadata = found.get("metadata")
    fits = isinstance(found.get("type"), str) and isinstance(found.get("body", {}), dict)
    if not fits or found.get("kind", "req") != "req" or not (metadata is None or isinstance(metadata, list)):
        raise bad_request(request_id)
    return found


def _parsed(call: Call) -> Any:
    try:
        return call.json()
    except ValueError:
        raise bad_request(None) from None


# -- CONVERSATION


def open_conversation(world: "World", call: Call) -> Answer:
    _require_version(call)
    caller = require_caller(world, call)
    properties = _client_properties(call)
    batch = _parsed(call)
    if not isinstance(batch, list) or len(batch) < 2:
        raise bad_request(None)
    requests = [_request(one) for one in batch]
    kinds = [one["type"] for one in requests]
    if kinds != ["userprofile.SetUserProfile", "cm.ConsumerRequestConversation"]:
        raise bad_request(requests[0]["id"])
    profile, opening = requests
    wanted = _opening(caller, opening)
    answers = [set_profile(world, caller, profile)]
    held = caller.account.open_by_consumer.get(caller.consumer.lp_id)
    if held:
        msg = (
            f"Consumer request conversation failed: User {caller.consumer.lp_id} already has open conversation. "
            "Can't open another one."
        )
        answers.append(item("BAD_REQUEST", {"msg": msg}, opening["id"]))
        status = caller.account.switches["already_open_status"]
        return json_answer(answers, status=status, already_open=held, **_note(caller))
    conversation = world.messaging.open(
        caller.account,
        caller.consumer,
        client_id=caller.install.client_id,
        features=_features(properties),
        client_properties=properties,
        **wanted,
    )
    answers.append(item("OK", {"conversationId": conversation.id}, opening["id"]))
    return json_answer(answers, conversation=conversation.id, **_note(caller))


def _opening(caller: Caller, opening: dict[str, Any]) -> dict[str, Any]:
    body = opening.get("body", {})
    if "brandId" not in body:
        raise auth_error(40001)
    ttr_type = body.get("ttrDefName") or "NORMAL"
    skill_id = body.get("skillId")
    campaign = body.get("campaignInfo")
    context = body.get("conversationContext")
    wrong = (
        str(body["brandId"]) != caller.account.id
        or ttr_type not in TTR_SECONDS
        or body.get("channelType", "MESSAGING") != "MESSAGING"
        or not (skill_id is None or isinstance(skill_id, str | int))
        or not (campaign is None or isinstance(campaign, dict))
        or not (context is None or isinstance(context, dict))
    )
    if wrong:
        raise bad_request(opening["id"])
    return {
        "ttr_type": ttr_type,
        "skill_id": "-1" if skill_id is None else str(skill_id),
        "campaign": campaign,
        "context": context,
    }


def _note(caller: Caller) -> dict[str, Any]:
    return {"client_id": caller.install.client_id, "ext_consumer_id": caller.consumer.ext_id}


# -- SEND


def send(world: "World", call: Call) -> Answer:
    _require_version(call)
    caller = require_caller(world, call)
    properties = _client_properties(call)
    request = _request(_parsed(call))
    if _length(call, request) > MAX_CHARACTERS:
        raise bad_request(request["id"])
    handler = REQUESTS.get(request["type"])
    if handler is None:
        raise bad_request(request["id"])
    try:
        answer = handler(world, caller, request, properties)
    except ApiError as error:
        return json_answer(error.body, status=error.status, **_note(caller))
    return json_answer(answer, answer=answer["body"], **_note(caller))


def _length(call: Call, request: dict[str, Any]) -> int:
    """Characters of the JSON request. A file's preview has a limit of its own (30 KB) and does not count."""
    if len(call.body) <= MAX_CHARACTERS:
        return 0
    size = len(call.body.decode())
    event = request.get("body", {}).get("event")
    message = event.get("message") if isinstance(event, dict) else None
    preview = message.get("preview") if isinstance(message, dict) else None
    return size - len(preview) if isinstance(preview, str) else size
