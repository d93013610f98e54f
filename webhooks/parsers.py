"""
LivePerson's notifications -> core.events. The only reader of LivePerson's wire keys.

A body is taken apart into changes. What is wrong with the body as a whole raises BodyUnusable; what is wrong with one
change makes an EventUnreadable of that change, and a type that we do not know an EventUnknown, so that one odd change
never hides the others.

Identity, which makes a change the same when it arrives again:

    content, rich content, receipt    c:<dialog>:<sequence>:<type>
    chat state                        t:<dialog>:<originator>:<state>; the receiver adds the time, in steps of seconds
    conversation change               x:<conversation>:<metaDataLastUpdateTs>:<SHA-256 of change and details>
    unknown, unreadable               u:<SHA-256 of the change>, e:<SHA-256 of the change>

Unknown members are ignored, a bare element stands for a list of one, numbers and their digits in quotes are the same,
and the shapes of the years before (no conversationId, no dialogs, no stage, participantsPId) are read too. Text is
made storable (core.wire.storable); nothing else in it changes, but what agents write loses its blanks at the end.

Sources: developers.liveperson.com/connector-api-webhooks-notification-protocol.html,
developers.liveperson.com/connector-api-webhooks-webhooks-examples.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from core.errors import BodyUnusable
from core.events import EventUnknown, EventUnreadable, Json, LivePersonEvent
from core.wire import MAX_WORD_LENGTH, as_list, canonical, read_json, require_id, require_object, require_word, storable
from webhooks.conversation_changes import parse_conversation_change
from webhooks.dialog_events import DIALOG_EVENTS

MAX_CHANGES = 200

Parser = Callable[[Json], LivePersonEvent]


def parse_liveperson(body: bytes, *, max_changes: int = MAX_CHANGES) -> list[LivePersonEvent]:
    """
    Take a notification apart into one event for each change, in their order.

    Raises BodyUnusable when the body is not strict JSON, or not a notification, or holds too many changes.
    """
    notification = read_json(body)
    if not isinstance(notification, dict):
        raise BodyUnusable("The body is not an object.")
    kind = notification.get("type")
    if not isinstance(kind, str) or not kind:
        raise BodyUnusable("type is missing or not text.", field="type")
    find_parser = _finder(kind)
    if find_parser is None:
        return [_unknown(change, kind) for change in _changes_of_unknown(notification, max_changes)]
    return [_parse_change(find_parser, change, kind) for change in _changes(notification, max_changes)]


def _finder(kind: str) -> Callable[[Json], tuple[str, Parser | None]] | None:
    """How to find the parser of one change in a notification of this kind."""
    # Subscriptions are named with the event as a suffix, and one page does so for the notification itself.
    if kind.endswith("ExConversationChangeNotification"):
        return _find_conversation_parser
    if kind == "ms.MessagingEventNotification" or kind.startswith("ms.MessagingEventNotification."):
        return _find_dialog_parser
    return None


def _find_dialog_parser(change: Json) -> tuple[str, Parser | None]:
    event = require_object(change.get("event"), field="event")
    name = require_word(event.get("type"), field="event.type")
    return name, DIALOG_EVENTS.get(name)


def _find_conversation_parser(change: Json) -> tuple[str, Parser | None]:
    kind = change.get("type")
    name = "UPSERT" if kind is None else require_word(kind, field="type").upper()
    return name, parse_conversation_change if name in ("UPSERT", "DELETE") else None


def _changes(notification: Json, max_changes: int) -> list[Any]:
    changes = require_object(notification.get("body"), field="body").get("changes")
    if changes is None:
        raise BodyUnusable("body.changes is missing.", field="body.changes")
    if not isinstance(changes, (list, dict)):
        raise BodyUnusable("body.changes must be a list.", field="body.changes")
    if len(as_list(changes)) > max_changes:
        raise BodyUnusable(f"body.changes holds more than {max_changes} changes.", field="body.changes")
    return as_list(changes)


def _changes_of_unknown(notification: Json, max_changes: int) -> list[Any]:
    """The changes where there are any; a notification of another shape counts as one."""
    body = notification.get("body")
    if isinstance(body, dict) and isinstance(body.get("changes"), (list, dict)):
        return _changes(notification, max_changes)
    return [notification]


def _parse_change(find_parser: Callable[[Json], tuple[str, Parser | None]], change: Any, kind: str) -> LivePersonEvent:
    try:
        change = require_object(change, field="change")
        name, parse = find_parser(change)
        return parse(change) if parse else _unknown(change, name)
    except BodyUnusable as error:
        return EventUnreadable(**_facts_of(change, _type_of(change, kind), letter="e"), why=error.detail)


def _unknown(change: Any, kind: str) -> EventUnknown:
    return EventUnknown(**_facts_of(change, kind, letter="u"))


def _facts_of(change: Any, kind: str, *, letter: str) -> dict[str, Any]:
    content = canonical(change)
    return {
        "identity": f"{letter}:{hashlib.sha256(content).hexdigest()}",
        "content": content,
        "type": storable(kind)[:MAX_WORD_LENGTH],
        "lp_conversation_id": _first_readable_id(change, "conversationId", "convId", "dialogId"),
        "lp_dialog_id": _first_readable_id(change, "dialogId"),
    }


def _first_readable_id(change: Any, *names: str) -> str:
    """An id where there is one, so that a person can find the conversation of what could not be read."""
    places = [change, change.get("result")] if isinstance(change, dict) else []
    for place in places:
        for name in names:
            try:
                return require_id(place.get(name) if isinstance(place, dict) else None, field=name)
            except BodyUnusable:
                continue
    return ""


def _type_of(change: Any, kind: str) -> str:
    event = change.get("event") if isinstance(change, dict) else None
    name = event.get("type") if isinstance(event, dict) else None
    return name if isinstance(name, str) and name else kind.rpartition(".")[2]
