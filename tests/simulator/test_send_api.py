"""CONVERSATION and SEND: what they accept, what they answer, what they refuse."""

import json

import pytest

CLOSED = "Bad Request, Conversation is close"


@pytest.fixture
def connector(simulator):
    return simulator.connector()


def refused(answer, *, status=400, msg="Bad Request"):
    found = answer.json()
    assert (answer.status_code, found["code"], found["body"]["msg"]) == (status, "BAD_REQUEST", msg), found


# -- CONVERSATION


def test_opening_answers_both_requests_in_their_order(connector):
    answer = connector.call("conversation", connector.batch())
    profile, opening = answer.json()
    assert profile == {"code": "OK", "body": {"msg": "OK User Profile set successfully"}, "reqId": "1,"}
    assert (opening["code"], opening["reqId"]) == ("OK", "2,")
    assert set(opening["body"]) == {"conversationId"}


def test_numbers_as_ids_come_back_as_texts(connector):
    batch = connector.batch()
    batch[0]["id"], batch[1]["id"] = 1, 1
    assert [one["reqId"] for one in connector.call("conversation", batch).json()] == ["1", "1"]


@pytest.mark.parametrize("status", [400, 200])
def test_a_second_open_conversation_is_refused(simulator, connector, status):
    simulator.control("PATCH", f"accounts/{connector.account}", {"already_open_status": status})
    connector.open()
    answer = connector.call("conversation", connector.batch(profile={"firstName": "Ada"}))
    profile, opening = answer.json()
    assert answer.status_code == status
    assert (profile["code"], opening["code"]) == ("OK", "BAD_REQUEST")
    assert opening["body"]["msg"].startswith("Consumer request conversation failed: User ")
    assert opening["body"]["msg"].endswith(" already has open conversation. Can't open another one.")
    assert len(simulator.control("GET", f"accounts/{connector.account}/conversations")["conversations"]) == 1


def test_another_consumer_may_open_meanwhile(connector):
    assert connector.open(ext_id="a") != connector.open(ext_id="b")


def test_a_closed_conversation_makes_room_for_another(connector):
    first = connector.open()
    connector.agent(first, "close")
    assert connector.open() != first


def test_the_opening_is_kept_as_it_was_given(connector):
    campaign = {"campaignId": "3001", "engagementId": 3002}
    conversation = connector.open(
        ttrDefName="PRIORITIZED", skillId=77, campaignInfo=campaign, channelType="MESSAGING",
        conversationContext={"visitorId": "v", "sessionId": "s", "interactionContextId": "2", "type": "SharkContext"},
    )  # fmt: skip
    view = connector.read(conversation)
    assert (view["skillId"], view["campaignInfo"], view["ttr"]["ttrType"]) == ("77", campaign, "PRIORITIZED")
    assert view["conversationContext"]["visitorId"] == "v"
    assert view["features"] == connector.features
    assert view["client_id"] == connector.client_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda batch: batch[0],
        lambda batch: batch[:1],
        lambda batch: batch[::-1],
        lambda batch: [batch[0], {**batch[1], "type": "cm.Other"}],
        lambda batch: [batch[0], {**batch[1], "kind": "resp"}],
        lambda batch: [batch[0], {**batch[1], "id": None}],
        lambda batch: [batch[0], {**batch[1], "id": "x" * 65}],
        lambda batch: [batch[0], {**batch[1], "body": {**batch[1]["body"], "brandId": "999"}}],
        lambda batch: [batch[0], {**batch[1], "body": {**batch[1]["body"], "ttrDefName": "SOON"}}],
        lambda batch: [batch[0], {**batch[1], "body": {**batch[1]["body"], "channelType": "CHAT"}}],
        lambda batch: [batch[0], {**batch[1], "metadata": "x"}],
        lambda batch: "nonsense",
    ],
)
def test_a_broken_batch_is_refused_and_opens_nothing(simulator, connector, spoil):
    refused(connector.call("conversation", spoil(connector.batch())))
    assert simulator.control("GET", f"accounts/{connector.account}/conversations") == {"conversations": []}


def test_a_missing_brand_has_an_error_of_its_own(connector):
    batch = connector.batch()
    del batch[1]["body"]["brandId"]
    answer = connector.call("conversation", batch)
    assert (answer.status_code, answer.json()["body"]["errorCode"]) == (400, 40001)


@pytest.mark.parametrize("kind", [".ClientProperties", "ClientProperties", ".ams.headers.ClientProperties"])
def test_every_spelling_of_client_properties_is_known(connector, kind):
    headers = {"Client-Properties": json.dumps({"type": kind, "features": ["RICH_CONTENT"]})}
    answer = connector.call("conversation", connector.batch(), headers=headers)
    assert connector.read(answer.json()[1]["body"]["conversationId"])["features"] == ["RICH_CONTENT"]


def test_client_properties_that_are_no_json_are_refused(connector):
    refused(connector.call("conversation", connector.batch(), headers={"Client-Properties": "[object Object]"}))


def test_the_version_is_mandatory(simulator, connector):
    path = f"{simulator.url}/api/account/{connector.account}/messaging/consumer/conversation"
    assert simulator.http.post(path, json=[]).status_code == 400


# -- SEND


def test_sequences_count_texts_and_receipts_but_no_chat_states(connector):
    conversation = connector.open()
    assert connector.text(conversation, "one").json()["body"] == {"sequence": 0}
    connector.agent(conversation, "say", text="two")
    receipt = {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [1]}
    assert connector.publish(conversation, receipt).json()["body"] == {"sequence": 2}
    state = {"type": "ChatStateEvent", "chatState": "COMPOSING"}
    assert connector.publish(conversation, state).json()["body"] == {"sequence": 0}
    assert connector.text(conversation, "three").json()["body"] == {"sequence": 3}
    view = connector.read(conversation)
    assert [one["type"] for one in view["events"]] == ["ContentEvent"] * 2 + ["AcceptStatusEvent", "ContentEvent"]
    assert view["chatStates"]["CONSUMER"] == "COMPOSING"


def test_an_array_is_no_request(connector):
    conversation = connector.open()
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": "x"}
    body = {"dialogId": conversation, "event": event}
    refused(connector.call("conversation/send", [{"id": "1", "type": "ms.PublishEvent", "body": body}]))


def test_five_thousand_characters_are_the_limit(connector):
    conversation = connector.open()

    def request(length):
        event = {"type": "ContentEvent", "contentType": "text/plain", "message": ""}
        body = {"kind": "req", "id": "1", "type": "ms.PublishEvent", "body": {"dialogId": conversation, "event": event}}
        missing = length - len(json.dumps(body, ensure_ascii=False))
        event["message"] = "ü" * missing
        return connector.call("conversation/send", json.dumps(body, ensure_ascii=False).encode())

    assert request(5000).json()["code"] == "OK"
    too_long = request(5001)
    refused(too_long)
    assert too_long.json()["reqId"] == "1"


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"type": "Unknown"},
        {"type": "ContentEvent", "contentType": "text/plain"},
        {"type": "ContentEvent", "contentType": "text/plain", "message": ""},
        {"type": "ContentEvent", "contentType": "text/html", "message": "x"},
        {"type": "ContentEvent", "contentType": "hosted/file", "message": {"relativePath": "/x", "fileType": "PNG"}},
        {"type": "ChatStateEvent", "chatState": "SLEEPING"},
        {"type": "AcceptStatusEvent", "status": "SEEN", "sequenceList": [0]},
        {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": []},
        {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": ["0"]},
    ],
)
def test_a_broken_event_is_refused_and_takes_no_sequence(connector, event):
    conversation = connector.open()
    refused(connector.publish(conversation, event))
    assert connector.text(conversation, "next").json()["body"] == {"sequence": 0}


def test_unknown_places_are_refused(connector):
    conversation = connector.open()
    refused(connector.text("nowhere", "x"), msg="Bad Request, Conversation does not exist")
    refused(connector.text(conversation, "x", dialog="other"))
    refused(connector.send("ms.SubscribeMessagingEvents", {}))
    refused(connector.call("conversation/send", b"{not json"))


def test_another_consumers_conversation_is_out_of_reach(connector):
    conversation = connector.open(ext_id="a")
    assert connector.text(conversation, "x", ext_id="b").status_code == 401
    assert connector.read(conversation)["events"] == []


def test_a_closed_conversation_takes_nothing(connector):
    conversation = connector.open()
    connector.agent(conversation, "close")
    refused(connector.text(conversation, "late"), msg=CLOSED)
    refused(connector.publish(conversation, {"type": "ChatStateEvent", "chatState": "GONE"}), msg=CLOSED)


def test_metadata_stays_with_the_event(connector):
    conversation = connector.open()
    metadata = [{"type": "ExternalId", "id": "btn-42"}]
    connector.text(conversation, "Yes please", metadata=metadata)
    assert connector.read(conversation)["events"][0]["metadata"] == metadata


# -- cm.UpdateConversationField


def field(connector, conversation, **value):
    body = {"conversationId": conversation, "conversationField": value}
    return connector.send("cm.UpdateConversationField", body)


def test_the_consumer_closes_the_conversation(connector):
    conversation = connector.open()
    answer = field(connector, conversation, field="ConversationStateField", conversationState="CLOSE")
    assert answer.json()["body"] == {"msg": "OK Conversation resolved successfully"}
    view = connector.read(conversation)
    assert (view["state"], view["stage"], view["closeReason"]) == ("CLOSE", "CLOSE", "CONSUMER")
    refused(field(connector, conversation, field="ConversationStateField", conversationState="CLOSE"), msg=CLOSED)


def test_a_consumer_cannot_reopen(connector):
    conversation = connector.open()
    refused(field(connector, conversation, field="ConversationStateField", conversationState="OPEN"))


def test_closing_the_main_dialog_or_the_stage_closes_the_conversation(connector):
    first = connector.open(ext_id="sms:+15550100")
    dialog = {"dialogId": first, "state": "CLOSE", "closedCause": "Bored"}
    assert field(connector, first, field="DialogChange", type="UPDATE", dialog=dialog).status_code == 200
    assert connector.read(first)["stage"] == "CLOSE"
    second = connector.open()
    assert field(connector, second, field="Stage", conversationState="CLOSE").status_code == 200
    assert connector.read(second)["stage"] == "CLOSE"


def test_satisfaction_is_taken_after_the_close(connector):
    conversation = connector.open()
    connector.agent(conversation, "close")
    given = {"csatRate": 4, "csatResolutionConfirmation": True, "status": "FILLED"}
    assert field(connector, conversation, field="CSATRate", **given).status_code == 200
    assert connector.read(conversation)["csat"] == given
    refused(field(connector, conversation, field="CSATRate", **{**given, "csatRate": 6}))


def test_urgency_may_stand_in_a_list(connector):
    conversation = connector.open()
    value = [{"field": "TTRField", "ttrType": "URGENT", "value": 300}]
    body = {"conversationId": conversation, "conversationField": value}
    assert connector.send("cm.UpdateConversationField", body).status_code == 200
    assert connector.read(conversation)["ttr"] == {"ttrType": "URGENT", "value": 300}


def test_an_unknown_field_is_refused(connector):
    refused(field(connector, connector.open(), field="Skill", skill="1"))


def test_the_profile_changes_later_and_keeps_the_rest(connector):
    conversation = connector.open()
    connector.send("userprofile.SetUserProfile", {"firstName": "Ada"})
    sdes = {"lp_sdes": [{"type": "ctmrinfo", "info": {"ctype": "platinum"}}]}
    answer = connector.send("userprofile.SetUserProfile", {"authenticatedData": sdes})
    assert answer.json()["body"] == {"msg": "OK User Profile set successfully"}
    assert connector.read(conversation)["profile"] == {"firstName": "Ada", "authenticatedData": sdes}


@pytest.mark.parametrize("text", ["\ud800 half a pair", "nul \0 inside", "‮right to left", "👩‍👩‍👧"])
def test_any_text_travels_unchanged(simulator, connector, text):
    conversation = connector.open(ext_id=text)
    assert connector.text(conversation, text, ext_id=text).json()["code"] == "OK"
    assert connector.read(conversation)["events"][0]["text"] == text
    assert simulator.http.get(f"{simulator.url}/desk/{connector.account}").status_code == 200


@pytest.mark.parametrize("raw", [b"[" * 4000, b'{"id": NaN}', b"\xff", b""])
def test_what_is_no_json_is_refused_and_logged(simulator, connector, raw):
    connector.consumer()
    refused(connector.call("conversation/send", raw))
    assert simulator.control("GET", "requests")["requests"][-1]["status"] == 400
