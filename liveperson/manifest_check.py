"""
What an app install manifest, as LivePerson has it, lacks for a connector of ours: in sentences for whoever mends it.

Source: developers.liveperson.com/connector-api-webhooks-configuration.html, …-webhooks-retry-policy.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.wire import storable
from liveperson.installs import EVENT_TYPES, TYPING
from liveperson.payloads import Manifest

_COSTS = {
    "ContentEvent": "what agents write does not arrive, and no echo settles a doubt",
    "RichContentEvent": "agents' cards and buttons do not arrive",
    "AcceptStatusEvent": "nobody learns that a message was read",
    "ChatStateEvent": "the consumer does not see an agent type",
    "ExConversationChangeNotification": "nobody learns that a conversation was closed or transferred",
}
_NOT_EVENTS = frozenset({"retry"})
_MOST = 30


@dataclass(frozen=True, kw_only=True)
class Difference:
    """what: a sentence. stops: nothing goes through while it is so."""

    what: str
    stops: bool = False


def find_manifest(held: Any, *, client_id: str) -> dict[str, Any]:
    """
    The one that is meant: what was given, or the one with this client id in a list of several.

    Raises ValueError, with a sentence, where there is none.
    """
    if isinstance(held, dict) and isinstance(held.get("installations"), list):
        held = held["installations"]
    if isinstance(held, list):
        same = [one for one in held if isinstance(one, dict) and _same_id(one.get("client_id"), client_id)]
        if not same:
            raise ValueError(f"No app installation in this list has the client id {client_id}.")
        held = same[0]
    if not isinstance(held, dict):
        raise ValueError("This is no manifest: a manifest is a JSON object.")
    if not {"capabilities", "client_name", "client_id", "scope", "grant_types"} & set(held):
        raise ValueError("This is no app install manifest: it has neither capabilities nor client_name.")
    return held


def differences(held: Mapping[str, Any], *, wanted: Manifest, client_id: str) -> list[Difference]:
    """What is to be changed at LivePerson so that the connector works; nothing where it is as it should be."""
    if held.get("client_id") and not _same_id(held["client_id"], client_id):
        what = f"It is of another app installation: its client id is {_shown(held['client_id'])}."
        return [Difference(what=what, stops=True)]
    capabilities = held.get("capabilities")
    webhooks = capabilities.get("webhooks") if isinstance(capabilities, dict) else None
    found = _of_members(held)
    if not isinstance(webhooks, dict) or not webhooks:
        return [*found, Difference(what="It names no webhooks: no notification arrives.", stops=True)]
    url = wanted["capabilities"]["webhooks"][EVENT_TYPES[0]]["endpoint"]
    retention_s = wanted["capabilities"]["webhooks"]["retry"]["retention_time"]
    found += [one for event in EVENT_TYPES for one in _of_event(event, webhooks, url)]
    found += _of_unknown(webhooks)
    return [*found, *_of_retry(webhooks, retention_s)][:_MOST]


def _of_members(held: Mapping[str, Any]) -> list[Difference]:
    found = []
    if held.get("deleted") is True:
        found.append(Difference(what="The app installation is deleted at LivePerson.", stops=True))
    if held.get("enabled") is False:
        what = "It is switched off (enabled is false): LivePerson takes nothing from it and sends it nothing."
        found.append(Difference(what=what, stops=True))
    grants = held.get("grant_types")
    if grants is not None and not (isinstance(grants, list) and "client_credentials" in grants):
        what = "grant_types lacks client_credentials: LivePerson issues no token."
        found.append(Difference(what=what, stops=True))
    scope = held.get("scope")
    if scope is not None and not (isinstance(scope, str) and "msg.consumer" in scope.split()):
        what = f"scope is {_shown(scope)}, not msg.consumer: consumers' messages are refused."
        found.append(Difference(what=what, stops=True))
    return found


def _of_event(event: str, webhooks: Mapping[str, Any], url: str) -> list[Difference]:
    name = event.rpartition(".")[2]
    entry = webhooks.get(event)
    is_needed = name in ("ContentEvent", "ExConversationChangeNotification")
    if not isinstance(entry, dict) or not isinstance(entry.get("endpoint"), str):
        return [Difference(what=f"It does not name {event}: {_COSTS[name]}.", stops=is_needed)]
    found = []
    if (trouble := _endpoint_trouble(entry["endpoint"], url)) != "":
        found.append(Difference(what=f"{name} is sent to {trouble}: {_COSTS[name]}.", stops=is_needed))
    if event != TYPING and not entry.get("max_retries") and _retention_of(webhooks) is not None:
        what = f"{name} has no max_retries: while this site cannot be reached they are dropped, not kept."
        found.append(Difference(what=what))
    return found


def _endpoint_trouble(endpoint: str, url: str) -> str:
    """Where notifications go in place of our address; nothing where they come to us. A query of theirs does no harm."""
    bare = endpoint.partition("#")[0].partition("?")[0]
    if bare == url:
        return ""
    if bare == url.rstrip("/"):
        return "this site's address without the slash at its end"
    try:
        is_other_host = urlsplit(bare).netloc.lower() != urlsplit(url).netloc.lower()
    except ValueError:
        return f"{_shown(bare)}, which is no address"
    return f"{_shown(bare)}, which is {'another host' if is_other_host else 'not the address of this connector'}"


def _of_unknown(webhooks: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(what=f"It names {_shown(name)}, which is no kind of notification that LivePerson has.")
        for name in webhooks
        if name not in EVENT_TYPES and name not in _NOT_EVENTS
    ]


def _of_retry(webhooks: Mapping[str, Any], wanted_s: int) -> list[Difference]:
    held_s = _retention_of(webhooks)
    if held_s is None:
        what = (
            "It repeats by number (retry.retention_time is missing): what fails is dropped after two and a half "
            "minutes at most, and later ones overtake it. Set retention_time."
        )
        return [Difference(what=what)]
    if held_s < wanted_s:
        what = (
            f"LivePerson keeps notifications for {_hours(held_s)} while this site cannot be reached "
            f"(retry.retention_time); {_hours(wanted_s)} are possible."
        )
        return [Difference(what=what)]
    return []


def _retention_of(webhooks: Mapping[str, Any]) -> int | None:
    retry = webhooks.get("retry")
    seconds = retry.get("retention_time") if isinstance(retry, dict) else None
    return seconds if isinstance(seconds, int) and not isinstance(seconds, bool) and seconds > 0 else None


def _hours(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours"


def _same_id(held: Any, client_id: str) -> bool:
    return isinstance(held, str) and held.strip().lower() == client_id.lower()


def _shown(value: Any) -> str:
    """A value of theirs in a sentence of ours."""
    return storable(str(value))[:120]
