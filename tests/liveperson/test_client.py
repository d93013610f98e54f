"""What the client writes, and what it makes of answers that say yes."""

import json
from typing import Any

import pytest

from core.errors import ConversationAlreadyOpen, NotSent, RequestRejected, TokenExpired, Unanswered
from liveperson.auth import Tokens
from liveperson.client import Accepted, ConsumerProfile, LivePersonClient, Opened
from liveperson.domains import DomainResolver
from tests.liveperson.conftest import ACCOUNT, TOKENS, FakeLivePerson
from tests.liveperson.server import CLOSE, ScriptedServer, as_json, http

WHERE: dict[str, Any] = {"tokens": TOKENS, "request_id": "r-1", "conversation_id": "C", "dialog_id": "D"}
OPEN: dict[str, Any] = {"tokens": TOKENS, "request_ids": ("p-1", "c-1")}


def opened(conversation_id: str = "C-1") -> list[dict[str, Any]]:
    return [
        {"code": "OK", "body": {"msg": "OK User Profile set successfully"}, "reqId": "p-1"},
        {"code": "OK", "body": {"conversationId": conversation_id}, "reqId": "c-1"},
    ]


def test_every_request_carries_both_tokens_raw_and_the_client_properties(liveperson: FakeLivePerson) -> None:
    liveperson.ok(sequence=0)
    liveperson.client.publish_text(text="hi", **WHERE)
    request = liveperson.last
    assert request.method == "POST"
    assert request.target == f"/api/account/{ACCOUNT}/messaging/consumer/conversation/send?v=3"
    assert request.headers["authorization"] == TOKENS.app_jwt
    assert request.headers["x-lp-on-behalf"] == TOKENS.consumer_jws
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.headers["client-properties"]) == {
        "type": ".ClientProperties",
        "features": ["AUTO_MESSAGES", "RICH_CONTENT", "QUICK_REPLIES", "MULTI_DIALOG"],
    }


def test_features_are_those_of_the_channel(liveperson: FakeLivePerson) -> None:
    liveperson.ok(sequence=0)
    client = LivePersonClient(liveperson.http, liveperson.domains, ACCOUNT, features=("RICH_CONTENT",))
    client.publish_text(text="hi", **WHERE)
    assert json.loads(liveperson.last.headers["client-properties"])["features"] == ["RICH_CONTENT"]


def test_open_sends_the_profile_first_and_routes_by_campaign(liveperson: FakeLivePerson) -> None:
    liveperson.say(opened())
    got = liveperson.client.open_conversation(
        profile=ConsumerProfile(first_name="Ada", social_id="sms:+15550100", ctype="gold", mobile="+15550100"),
        campaign_id="3001",
        engagement_id="3002",
        skill_id="77",
        ttr="URGENT",
        **OPEN,
    )
    assert got == Opened("C-1", "c-1")
    assert liveperson.last.target == f"/api/account/{ACCOUNT}/messaging/consumer/conversation?v=3"
    assert liveperson.last.json == [
        {
            "kind": "req",
            "id": "p-1",
            "type": "userprofile.SetUserProfile",
            "body": {
                "firstName": "Ada",
                "privateData": {"mobileNum": "+15550100"},
                "authenticatedData": {
                    "lp_sdes": [
                        {"type": "ctmrinfo", "info": {"socialId": "sms:+15550100", "ctype": "gold"}},
                        {"type": "personal", "personal": {"firstname": "Ada", "contacts": [{"phone": "+15550100"}]}},
                    ]
                },
            },
        },
        {
            "kind": "req",
            "id": "c-1",
            "type": "cm.ConsumerRequestConversation",
            "body": {
                "brandId": ACCOUNT,
                "channelType": "MESSAGING",
                "conversationContext": {
                    "visitorId": "",
                    "sessionId": "",
                    "interactionContextId": "2",
                    "type": "SharkContext",
                },
                "ttrDefName": "URGENT",
                "campaignInfo": {"campaignId": "3001", "engagementId": "3002"},
                "skillId": "77",
            },
        },
    ]


def test_a_plain_open_sends_nothing_that_was_not_given(liveperson: FakeLivePerson) -> None:
    liveperson.say(opened())
    liveperson.client.open_conversation(profile={"firstName": "Ada"}, context={"lang": "de-DE"}, **OPEN)
    profile, opening = liveperson.last.json
    assert profile["body"] == {"firstName": "Ada"}
    assert opening["body"] == {
        "brandId": ACCOUNT,
        "channelType": "MESSAGING",
        "conversationContext": {"lang": "de-DE"},
    }


@pytest.mark.parametrize("status", [200, 201, 400])
def test_the_conversation_is_found_in_any_order_and_under_any_status(liveperson: FakeLivePerson, status: int) -> None:
    """LivePerson's own demo receives its two answers the other way round."""
    liveperson.say(list(reversed(opened("C-9"))), status)
    assert liveperson.client.open_conversation(**OPEN).lp_conversation_id == "C-9"


def test_a_profile_that_was_refused_does_not_hide_the_conversation(liveperson: FakeLivePerson) -> None:
    answer = opened()
    answer[0] |= {"code": "BAD_REQUEST", "body": {"msg": "Bad profile"}}
    liveperson.say(answer)
    assert liveperson.client.open_conversation(**OPEN).lp_conversation_id == "C-1"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_conversation_that_is_open_already_is_told_under_any_status(liveperson: FakeLivePerson, status: int) -> None:
    text = "Consumer request conversation failed: User 9c1f already has open conversation. Can't open another one."
    liveperson.say([opened()[0], {"code": "BAD_REQUEST", "body": {"msg": text}, "reqId": "c-1"}], status)
    with pytest.raises(ConversationAlreadyOpen):
        liveperson.client.open_conversation(**OPEN)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        "OK",
        None,
        opened()[:1],
        [{"code": "OK", "body": {"conversationId": 7}, "reqId": "c-1"}],
        [{"code": "OK", "body": {"conversationId": ""}, "reqId": "c-1"}],
        [{"code": "OK", "body": {"conversationId": "x" * 300}, "reqId": "c-1"}],
        [{"code": "OK", "body": {"conversationId": "a\u0000b"}, "reqId": "c-1"}],
        [{"code": "OK", "body": {"conversationId": "\ud800"}, "reqId": "c-1"}],
        [{"code": "OK", "body": {"conversationId": "C-1"}, "reqId": "other"}],
        [{"code": "OK", "body": {"conversationId": "C-1"}}],
        [{"code": "OK", "body": None, "reqId": "c-1"}],
        [[opened()]],
        {"code": "OK", "body": {"conversationId": "C-1"}, "reqId": "c-1"},
    ],
)
def test_an_open_without_a_usable_conversation_id_is_unanswered(liveperson: FakeLivePerson, answer: Any) -> None:
    liveperson.say(answer)
    with pytest.raises(Unanswered):
        liveperson.client.open_conversation(**OPEN)


PUBLISHED = [
    (
        "publish_text",
        {"text": "Grüße 👋\n", "metadata": [{"type": "ExternalId", "id": "btn-42"}]},
        {"type": "ContentEvent", "contentType": "text/plain", "message": "Grüße 👋\n"},
    ),
    (
        "publish_file",
        {"relative_path": "/v1/x.PNG", "file_type": "png", "caption": "receipt", "preview": "data:image/png;base64,x"},
        {
            "type": "ContentEvent",
            "contentType": "hosted/file",
            "message": {
                "relativePath": "/v1/x.PNG",
                "fileType": "PNG",
                "caption": "receipt",
                "preview": "data:image/png;base64,x",
            },
        },
    ),
    (
        "publish_file",
        {"relative_path": "/v1/x.PNG", "file_type": "PNG"},
        {
            "type": "ContentEvent",
            "contentType": "hosted/file",
            "message": {"relativePath": "/v1/x.PNG", "fileType": "PNG"},
        },
    ),
    ("publish_chat_state", {"chat_state": "COMPOSING"}, {"type": "ChatStateEvent", "chatState": "COMPOSING"}),
    (
        "publish_accept_status",
        {"status": "ACTION", "sequences": (3, 4), "metadata": [{"type": "ExternalId", "id": "btn-42"}]},
        {"type": "AcceptStatusEvent", "status": "ACTION", "sequenceList": [3, 4]},
    ),
]


@pytest.mark.parametrize(("method", "given", "event"), PUBLISHED)
def test_what_is_published_has_the_documented_shape(
    liveperson: FakeLivePerson, method: str, given: dict[str, Any], event: dict[str, Any]
) -> None:
    liveperson.ok(sequence=7)
    accepted = getattr(liveperson.client, method)(**given, **WHERE)
    assert accepted == Accepted(7, "r-1")
    expected: dict[str, Any] = {
        "kind": "req",
        "id": "r-1",
        "type": "ms.PublishEvent",
        "body": {"dialogId": "D", "conversationId": "C", "event": event},
    }
    if "metadata" in given:
        expected["metadata"] = given["metadata"]
    assert liveperson.last.json == expected


def test_requests_are_compact_and_not_escaped(liveperson: FakeLivePerson) -> None:
    """The limit of 5000 characters counts the JSON as it is written."""
    liveperson.ok(sequence=0)
    liveperson.client.publish_text(text="Grüße 👋", **WHERE)
    assert '"message":"Grüße 👋"'.encode() in liveperson.last.body
    assert b": " not in liveperson.last.body


CHANGES = [
    ("close_conversation", {}, {"field": "ConversationStateField", "conversationState": "CLOSE"}),
    (
        "close_dialog",
        {"dialog_id": "D"},
        {
            "field": "DialogChange",
            "type": "UPDATE",
            "dialog": {"dialogId": "D", "state": "CLOSE", "closedCause": "Closed by consumer"},
        },
    ),
    ("close_stage", {}, {"field": "Stage", "conversationState": "CLOSE"}),
    ("set_ttr", {"ttr": "URGENT", "value_s": 300}, [{"field": "TTRField", "ttrType": "URGENT", "value": 300}]),
    (
        "submit_csat",
        {"rate": 4, "resolved": True},
        {"field": "CSATRate", "csatRate": 4, "csatResolutionConfirmation": True, "status": "FILLED"},
    ),
]


@pytest.mark.parametrize(("method", "given", "change"), CHANGES)
def test_changes_of_a_conversation_have_the_documented_shape(
    liveperson: FakeLivePerson, method: str, given: dict[str, Any], change: Any
) -> None:
    liveperson.ok(msg="OK Conversation resolved successfully")
    assert getattr(liveperson.client, method)(tokens=TOKENS, request_id="r-1", conversation_id="C", **given) is None
    assert liveperson.last.json == {
        "kind": "req",
        "id": "r-1",
        "type": "cm.UpdateConversationField",
        "body": {"conversationId": "C", "conversationField": change},
    }


def test_a_profile_is_updated_alone(liveperson: FakeLivePerson) -> None:
    liveperson.ok(msg="OK User Profile set successfully")
    liveperson.client.update_profile(tokens=TOKENS, request_id="r-1", profile=ConsumerProfile(ctype="platinum"))
    assert liveperson.last.json["type"] == "userprofile.SetUserProfile"
    assert liveperson.last.json["body"] == {
        "authenticatedData": {"lp_sdes": [{"type": "ctmrinfo", "info": {"ctype": "platinum"}}]}
    }


@pytest.mark.parametrize("request_id", ["", "x" * 65])
def test_a_request_id_that_liveperson_would_not_take_is_a_mistake_of_ours(
    liveperson: FakeLivePerson, request_id: str
) -> None:
    with pytest.raises(ValueError, match="request id"):
        liveperson.client.publish_text(text="hi", **(WHERE | {"request_id": request_id}))
    assert liveperson.requests == []


@pytest.mark.parametrize(("tokens", "code"), [(Tokens("", "x"), "40102"), (Tokens("x", ""), "40103")])
def test_without_a_token_nothing_is_sent(liveperson: FakeLivePerson, tokens: Tokens, code: str) -> None:
    with pytest.raises(TokenExpired) as caught:
        liveperson.client.publish_text(text="hi", **(WHERE | {"tokens": tokens}))
    assert caught.value.provider_code == code
    assert liveperson.requests == []


@pytest.mark.parametrize(
    "body",
    [
        {"code": "OK", "body": {"sequence": 0}, "reqId": "another"},
        {"code": "OK", "body": {"sequence": 0}, "reqId": 1},
        {"code": "OK", "body": {"sequence": 0}},
        {"code": "OK", "body": {"sequence": "0"}, "reqId": "r-1"},
        {"code": "OK", "body": {"sequence": -1}, "reqId": "r-1"},
        {"code": "OK", "body": {"sequence": 1.5}, "reqId": "r-1"},
        {"code": "OK", "body": {"sequence": True}, "reqId": "r-1"},
        {"code": "OK", "body": {"sequence": 2**63}, "reqId": "r-1"},
        {"code": "OK", "body": {"sequence": None}, "reqId": "r-1"},
        {"code": "OK", "body": {}, "reqId": "r-1"},
        {"code": "OK", "body": [], "reqId": "r-1"},
        {"code": "OK", "reqId": "r-1"},
        {"code": "FINE", "body": {"sequence": 0}, "reqId": "r-1"},
        {"code": None, "body": {"sequence": 0}, "reqId": "r-1"},
        [{"code": "OK", "body": {"sequence": 0}, "reqId": "r-1"}],
        [],
        7,
        None,
    ],
)
def test_an_answer_of_200_that_is_not_a_yes_to_this_request_is_unanswered(
    liveperson: FakeLivePerson, body: Any
) -> None:
    liveperson.say(body)
    with pytest.raises(Unanswered) as caught:
        liveperson.client.publish_text(text="hi", **WHERE)
    assert caught.value.http_status == 200


def test_a_chat_state_needs_no_sequence(liveperson: FakeLivePerson) -> None:
    liveperson.ok()
    assert liveperson.client.publish_chat_state(chat_state="ACTIVE", **WHERE).sequence == 0


def test_tokens_are_not_in_their_repr_nor_in_an_answer_that_is_kept(liveperson: FakeLivePerson) -> None:
    assert "canary" not in repr(TOKENS)
    liveperson.answer = lambda request: http(400, f"You sent {request.headers['authorization']}".encode())
    with pytest.raises(RequestRejected) as caught:
        liveperson.client.publish_text(text="hi", **WHERE)
    assert caught.value.answer_head.startswith("You sent")
    assert "canary" not in caught.value.answer_head


def test_a_text_that_holds_half_a_character_is_sent(liveperson: FakeLivePerson) -> None:
    liveperson.ok(sequence=0)
    liveperson.client.publish_text(text="a\ud800b", **WHERE)
    assert liveperson.last.json["body"]["event"]["message"] == "a\ufffdb"


def test_a_host_that_is_gone_is_looked_up_again(liveperson: FakeLivePerson) -> None:
    """The Domain API stays where it is; the Send API moves to another host."""
    gone = ScriptedServer()
    gone.stop()
    now = 1000.0
    hosts = [gone.port, liveperson.server.port]

    def domain_api(request: Any) -> Any:
        return as_json({"service": "asyncMessagingEnt", "baseURI": f"127.0.0.1:{hosts[0]}"})

    with ScriptedServer(domain_api) as domains:
        resolver = DomainResolver(liveperson.http, domains.url, clock=lambda: now)
        client = LivePersonClient(liveperson.http, resolver, ACCOUNT)
        liveperson.ok(sequence=0)
        with pytest.raises(NotSent):
            client.publish_text(text="hi", **WHERE)
        hosts.reverse()
        now += 60
        assert client.publish_text(text="hi", **WHERE).sequence == 0
        assert len(domains.requests) == 2


def test_nothing_is_sent_when_the_domain_api_cannot_say_where_to(liveperson: FakeLivePerson) -> None:
    """A failure of the Domain API says nothing about the message: it is certainly not sent."""
    for steps in ([CLOSE], http(500, b"x"), http(200, b"<html>"), http(503, b"x")):
        with ScriptedServer(lambda _, steps=steps: steps) as domains:
            client = LivePersonClient(liveperson.http, DomainResolver(liveperson.http, domains.url), ACCOUNT)
            with pytest.raises(NotSent):
                client.publish_text(text="hi", **WHERE)
    assert liveperson.requests == []
