"""
One row of each list, as the OpenAPI document shows it: an agent's answer to a consumer, and what stands around it.

The rows belong together, so that a reader can follow an id from one to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.redaction import MASK

_ROOT = "https://connectors.example.com/api/v1"
_BRAND = "019cad9d-dd4d-7404-accf-db98958925db"
_ACCOUNT = "019cada2-2858-7fc8-b5e0-b1bf0458eb54"
_INSTALLATION = "019cada2-2878-73c5-b6a4-07db52b9579c"
_CLIENT_SECRET = "01a09eb7-356f-7275-a4bf-3f74f685ad7f"  # noqa: S105 -- the id of one
_CHANNEL = "019cada6-5515-7b46-b9da-da2ffddb0146"
_SIGNING_SECRET = "019cada6-552d-7e11-9615-83edd8fbfd11"  # noqa: S105 -- the id of one
_CONSUMER = "01a1fd8c-69cc-7dc0-b25e-96f3d2a904dc"
_CONVERSATION = "01a1fd8c-6ca5-7eb4-8157-f52a3c2e787b"
_MESSAGE = "01a1fd8c-7dbe-7914-9afb-f02b460c6d1d"
_DELIVERY = "01a1fd8c-7d8e-7a14-96cf-cb3a6e78db5a"
_EVENT = "01a1fd8c-7dbd-7ae0-bbe9-082b75e9575b"
_DISPATCH = "01a1fd8c-7dbf-74ec-885e-d4783a33d3fa"
_ATTEMPT = "01a1fd8c-7e0e-74e3-85e4-4de3b9f3eb01"
_ENTRY = "01a09eb7-3572-76cd-8d5d-fb0f929b73bf"
_PERSON = "019cad9d-e0a1-7c3e-9b52-6f1d2a8c4e77"
_CORRELATION = "01a1fd8c-7d8c-7c02-9d4f-6a0c2ab0f6a1"
_LP_CONVERSATION = "6f0c0d53-6d3d-4c53-9c4e-0f3ab2f2c1aa"


def _links(**ids: tuple[str, str]) -> dict[str, str]:
    return {name: f"{_ROOT}/{resource}/{row_id}/" for name, (resource, row_id) in ids.items()}


_TO_BRAND = ("brands", _BRAND)
_TO_ACCOUNT = ("accounts", _ACCOUNT)
_TO_INSTALLATION = ("installations", _INSTALLATION)
_TO_CHANNEL = ("channels", _CHANNEL)
_TO_CONSUMER = ("consumers", _CONSUMER)
_TO_CONVERSATION = ("conversations", _CONVERSATION)
_TO_MESSAGE = ("messages", _MESSAGE)

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "brands": {
        "id": _BRAND,
        "slug": "acme",
        "name": "Acme Limited",
        "retention_days": 90,
        "held_at": None,
        "created_at": "2026-03-02T08:15:30.125000Z",
        "links": _links(self=_TO_BRAND),
    },
    "accounts": {
        "id": _ACCOUNT,
        "brand": _BRAND,
        "lp_account_id": "12345678",
        "name": "Acme, Europe",
        "domain_api": "",
        "created_at": "2026-03-02T08:20:11.480000Z",
        "links": _links(self=_TO_ACCOUNT, brand=_TO_BRAND),
    },
    "installations": {
        "id": _INSTALLATION,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "client_id": "f9d3a0cb-6a0c-4f1e-8a55-0c7e2f6d1b11",
        "name": "Acme's app",
        "state": "ACTIVE",
        "state_reason": "",
        "paused_for": "",
        "state_changed_at": None,
        "signature_policy": "SHA256",
        "unknown_policy": "AUTO",
        "features": ["AUTO_MESSAGES", "RICH_CONTENT", "QUICK_REPLIES", "MULTI_DIALOG"],
        "campaign_id": "1244787870",
        "engagement_id": "1246064870",
        "skill_id": "",
        "tested_at": "2026-09-14T07:00:05.418000Z",
        "test_passed": True,
        "test_detail": "LivePerson issued a token.",
        "secrets": [{"id": _CLIENT_SECRET, "created_at": "2026-09-14T07:00:02.031000Z", "retired_at": None}],
        "created_at": "2026-03-02T08:20:11.512000Z",
        "links": _links(self=_TO_INSTALLATION, brand=_TO_BRAND, account=_TO_ACCOUNT),
    },
    "channels": {
        "id": _CHANNEL,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "installation": _INSTALLATION,
        "former_installation": None,
        "moved_at": None,
        "type": "custom",
        "name": "SMS gateway",
        "prefix": "sms",
        "shares_prefix": False,
        "state": "ACTIVE",
        "state_reason": "",
        "paused_for": "",
        "sends_to": "gateway.acme.example",
        "secrets": [
            {
                "id": _SIGNING_SECRET,
                "name": "signing_secret",
                "created_at": "2026-03-02T08:24:45.101000Z",
                "retired_at": None,
            }
        ],
        "created_at": "2026-03-02T08:24:45.077000Z",
        "links": _links(self=_TO_CHANNEL, brand=_TO_BRAND, account=_TO_ACCOUNT, installation=_TO_INSTALLATION),
    },
    "consumers": {
        "id": _CONSUMER,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "channel": _CHANNEL,
        "ext_consumer_id": MASK,
        "channel_consumer_id": MASK,
        "lp_consumer_id": "d51ce914-97ad-4544-a686-8335b61dcdf3",
        "name": MASK,
        "profile": None,
        "last_seen_at": "2026-11-21T10:00:00.201000Z",
        "held_at": None,
        "blocked_at": None,
        "erased_at": None,
        "created_at": "2026-11-21T10:00:00.204000Z",
        "links": _links(self=_TO_CONSUMER, brand=_TO_BRAND, account=_TO_ACCOUNT, channel=_TO_CHANNEL),
    },
    "conversations": {
        "id": _CONVERSATION,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "installation": _INSTALLATION,
        "channel": _CHANNEL,
        "consumer": _CONSUMER,
        "lp_conversation_id": _LP_CONVERSATION,
        "state": "OPEN",
        "skill_id": "",
        "agent_ids": ["12345678.1282051932"],
        "opened_at": "2026-11-21T10:00:00.901000Z",
        "closed_at": None,
        "close_reason": "",
        "created_at": "2026-11-21T10:00:00.933000Z",
        "links": _links(
            self=_TO_CONVERSATION,
            brand=_TO_BRAND,
            account=_TO_ACCOUNT,
            installation=_TO_INSTALLATION,
            channel=_TO_CHANNEL,
            consumer=_TO_CONSUMER,
        ),
    },
    "messages": {
        "id": _MESSAGE,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "channel": _CHANNEL,
        "consumer": _CONSUMER,
        "conversation": _CONVERSATION,
        "direction": "TO_CHANNEL",
        "sender_role": "ASSIGNED_AGENT",
        "kind": "TEXT",
        "audience": "ALL",
        "status": "DELIVERED",
        "error_code": "",
        "is_test": False,
        "lp_dialog_id": _LP_CONVERSATION,
        "lp_sequence": 4,
        "channel_message_id": "",
        "occurred_at": "2026-11-21T10:00:05.102000Z",
        "created_at": "2026-11-21T10:00:05.310000Z",
        "correlation_id": _CORRELATION,
        "links": _links(
            self=_TO_MESSAGE,
            brand=_TO_BRAND,
            account=_TO_ACCOUNT,
            channel=_TO_CHANNEL,
            consumer=_TO_CONSUMER,
            conversation=_TO_CONVERSATION,
        ),
    },
    "deliveries": {
        "id": _DELIVERY,
        "brand": _BRAND,
        "installation": _INSTALLATION,
        "channel": None,
        "state": "PROCESSED",
        "received_at": "2026-11-21T10:00:05.260000Z",
        "processed_at": "2026-11-21T10:00:05.312000Z",
        "secret": _CLIENT_SECRET,
        "sha256": "eb547e4fa418fd669e6ef80509ca7ddf312d8476803b8c8524827651f3d4ace1",
        "size": 913,
        "request_identity": "",
        "start_count": 1,
        "detail": "",
        "created_at": "2026-11-21T10:00:05.262000Z",
        "links": _links(self=("deliveries", _DELIVERY), brand=_TO_BRAND, installation=_TO_INSTALLATION),
    },
    "dispatches": {
        "id": _DISPATCH,
        "brand": _BRAND,
        "account": _ACCOUNT,
        "channel": _CHANNEL,
        "consumer": _CONSUMER,
        "conversation": _CONVERSATION,
        "message": _MESSAGE,
        "direction": "TO_CHANNEL",
        "kind": "TEXT",
        "state": "SENT",
        "step": "SEND",
        "attempt_count": 1,
        "next_attempt_at": None,
        "expires_at": None,
        "unknown_at": None,
        "finished_at": "2026-11-21T10:00:05.461000Z",
        "resolution": "answer",
        "error_code": "",
        "error_detail": "",
        "possible_duplicate": False,
        "duplicate_seen_at": None,
        "lp_dialog_id": _LP_CONVERSATION,
        "lp_sequence": None,
        "echo_sequence": None,
        "provider_ids": ["SM4f1c"],
        "content_digest": None,
        "created_at": "2026-11-21T10:00:05.311000Z",
        "correlation_id": _CORRELATION,
        "links": _links(
            self=("dispatches", _DISPATCH),
            brand=_TO_BRAND,
            account=_TO_ACCOUNT,
            channel=_TO_CHANNEL,
            consumer=_TO_CONSUMER,
            conversation=_TO_CONVERSATION,
            message=_TO_MESSAGE,
        ),
    },
    "attempts": {
        "id": _ATTEMPT,
        "brand": _BRAND,
        "dispatch": _DISPATCH,
        "message": _MESSAGE,
        "step": "SEND",
        "started_at": "2026-11-21T10:00:05.390000Z",
        "finished_at": "2026-11-21T10:00:05.459000Z",
        "outcome": "ACCEPTED",
        "error_code": "",
        "http_status": 200,
        "provider_code": "",
        "detail": "",
        "answer_head": "",
        "elapsed_ms": 68,
        "created_at": "2026-11-21T10:00:05.390000Z",
        "links": _links(
            self=("attempts", _ATTEMPT), brand=_TO_BRAND, dispatch=("dispatches", _DISPATCH), message=_TO_MESSAGE
        ),
    },
    "audit-log": {
        "id": _ENTRY,
        "brand": _BRAND,
        "at": "2026-09-14T07:00:02.034000Z",
        "action": "installation.secret.added",
        "sentence": "added a client secret",
        "actor_kind": "PERSON",
        "actor": _PERSON,
        "actor_name": "ada",
        "address": "192.0.2.17",
        "subject_type": "appinstallation",
        "subject_id": _INSTALLATION,
        "subject_name": "Acme's app",
        "data": {"secret": _CLIENT_SECRET},
        "reason": "",
        "created_at": "2026-09-14T07:00:02.034000Z",
        "correlation_id": "01a09eb7-3551-7a3e-9c0f-2f6f0c8d7b19",
        "links": _links(self=("audit-log", _ENTRY), brand=_TO_BRAND, subject=_TO_INSTALLATION),
    },
}

# What one row tells beyond its place in the list.
ROW_ALONE: Mapping[str, dict[str, Any]] = {
    "deliveries": {
        "events": [
            {
                "id": _EVENT,
                "index": 0,
                "type": "ms.MessagingEventNotification.ContentEvent",
                "outcome": "APPLIED",
                "detail": "",
                "lp_conversation_id": _LP_CONVERSATION,
                "message": _MESSAGE,
                "at": "2026-11-21T10:00:05.310000Z",
            }
        ]
    }
}


def of_list(resource: str) -> dict[str, Any]:
    """A page of a list with its one row."""
    return {"next": None, "results": [EXAMPLES[resource]]}


def of_row(resource: str) -> dict[str, Any]:
    """One row by its id."""
    return EXAMPLES[resource] | ROW_ALONE.get(resource, {})


__all__ = ["EXAMPLES", "of_list", "of_row"]
