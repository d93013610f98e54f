"""
Which part of a body is an erased person's.

People choose some of their ids themselves, so an id may be a word that others use, or one of the protocol's. What is
known to be of another conversation, or of another consumer of the channel, is never the person's, whatever it says.
Where that is not known the ids decide; there, too, names of members that are plain words say nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.registry import get_adapter
from conversations.models import Conversation, Dialog, Message
from core.errors import BodyUnusable
from core.events import ChannelEvent, LivePersonEvent
from core.wire import read_json
from webhooks import tracing
from webhooks.models import Delivery, DeliveryState, Event
from webhooks.parsers import parse_liveperson
from webhooks.tracing import Needles

_ERASED = {"erased": True}  # stands where a change stood, so that the others keep their places


@dataclass(frozen=True, kw_only=True)
class Part:
    """places: of the person's events; None: all. rest: the body without them; None: nothing may stay of it."""

    places: list[int] | None = None
    rest: bytes | None = None


_ALL = Part()


def part_of(delivery: Delivery, raw: bytes, headers: dict[str, str], needles: Needles) -> Part | None:
    """
    What of a delivery's body is the person's; None: nothing.

    Only LivePerson's bodies can be divided. A channel's that speaks of several people goes as a whole.
    """
    try:
        if delivery.channel is None:
            return _of_notification(delivery, raw, needles)
        events = get_adapter(delivery.channel.type).parse_inbound(raw, headers)
    except BodyUnusable:
        return _ALL if needles.any_in(*tracing.readings_of(raw)) else None
    places = _of_channel_events(delivery, events, raw, needles)
    if not places:
        return None
    return _ALL if len(places) == len(events) else Part(places=places)


# --- a channel's ------------------------------------------------------------------------------------------------------


def _of_channel_events(delivery: Delivery, events: Sequence[ChannelEvent], raw: bytes, needles: Needles) -> list[int]:
    unnamed = {place for place, event in enumerate(events) if event.consumer is None}
    if unnamed:
        unnamed = unnamed - _places_of_others(delivery, needles) if _names(raw, needles) else set()
    return [
        place
        for place, event in enumerate(events)
        if (needles.is_person(event.consumer.id) if event.consumer else place in unnamed)
    ]


def _names(raw: bytes, needles: Needles) -> bool:
    try:
        return needles.any_in(tracing.values_of(read_json(raw)))
    except BodyUnusable:
        return needles.any_in(*tracing.readings_of(raw))


def _places_of_others(delivery: Delivery, needles: Needles) -> set[int]:
    """Events about messages of other people, such as reports of what became of them."""
    about = {
        index: message_id
        for index, message_id in Event.objects.filter(delivery=delivery).values_list("index", "message_id")
        if message_id is not None
    }
    owners = dict(Message.objects.filter(pk__in=set(about.values())).values_list("pk", "consumer_id"))
    return {place for place, message_id in about.items() if owners.get(message_id) not in (None, needles.consumer_id)}


# --- LivePerson's -----------------------------------------------------------------------------------------------------


def _of_notification(delivery: Delivery, raw: bytes, needles: Needles) -> Part | None:
    """Raises BodyUnusable where it is no notification that can be taken apart."""
    notification, events = read_json(raw), parse_liveperson(raw)
    body = notification.get("body")
    changes = body.get("changes") if isinstance(body, dict) else None
    if not isinstance(changes, list) or len(changes) != len(events):
        changes = [notification]  # one change without a list around it, or a shape that we do not know
        if len(events) != 1:
            raise BodyUnusable("Its changes cannot be told apart.")
    strangers = _ids_of_others(delivery, events, needles)
    is_stored = delivery.state == DeliveryState.STORED
    places = [
        place
        for place, (change, event) in enumerate(zip(changes, events, strict=True))
        if _is_persons(change, event, needles, strangers=strangers, is_stored=is_stored)
    ]
    if not places:
        return None
    if len(places) == len(changes):
        return _ALL
    assert isinstance(body, dict)
    body["changes"] = [_ERASED if place in places else change for place, change in enumerate(changes)]
    return Part(places=places, rest=json.dumps(notification, ensure_ascii=True).encode())


def _is_persons(change: Any, event: LivePersonEvent, needles: Needles, *, strangers: set[str], is_stored: bool) -> bool:
    ids = _ids_in(event)
    if ids & needles.conversations:
        return True
    if ids & strangers:
        return False
    if is_stored and isinstance(change, dict):
        # Nobody knows yet whose it is: what somebody says in it must not keep it from being applied.
        change = {name: value for name, value in change.items() if name != "event"}
    return needles.any_in(tracing.values_of(change))


def _ids_of_others(delivery: Delivery, events: Sequence[LivePersonEvent], needles: Needles) -> set[str]:
    """Of the conversations and dialogs that these are of, those that are known to be other people's."""
    named = {one for event in events for one in _ids_in(event)} - needles.conversations
    if not named or delivery.installation is None:
        return set()
    account_id = delivery.installation.account_id
    conversations = Conversation.objects.filter(account_id=account_id, lp_conversation_id__in=named)
    dialogs = Dialog.objects.filter(conversation__account_id=account_id, lp_dialog_id__in=named)
    return {
        *conversations.exclude(consumer=needles.consumer_id).values_list("lp_conversation_id", flat=True),
        *dialogs.exclude(conversation__consumer=needles.consumer_id).values_list("lp_dialog_id", flat=True),
    }


def _ids_in(event: LivePersonEvent) -> set[str]:
    return {event.lp_conversation_id, event.lp_dialog_id} - {""}
