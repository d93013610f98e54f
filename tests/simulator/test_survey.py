"""The post conversation survey."""

import pytest


@pytest.fixture
def connector(simulator):
    made = simulator.connector()
    simulator.control("PATCH", f"accounts/{made.account}", {"survey": True})
    return made


def assigned(connector):
    conversation = connector.open()
    connector.text(conversation, "Hello")
    connector.agent(conversation, "join")
    return conversation


def survey_of(view):
    return next((one for one in view["dialogs"] if one["dialogType"] == "POST_SURVEY"), None)


def said(view, dialog_id):
    return [(one["sequence"], one["role"], one["text"]) for one in view["events"] if one["dialogId"] == dialog_id]


def test_a_survey_runs_in_a_dialog_of_its_own(connector):
    conversation = assigned(connector)
    connector.agent(conversation, "close")
    view = connector.read(conversation)
    dialog = survey_of(view)["dialogId"]
    assert (view["state"], view["stage"], view["closeReason"]) == ("CLOSE", "OPEN", "AGENT")
    assert len(dialog) == 22
    question = next(one for one in view["events"] if one["dialogId"] == dialog)
    assert (question["sequence"], question["role"]) == (0, "AGENT")
    assert question["metadata"][0]["type"] == "Question"
    button = question["quickReplies"]["replies"][3]

    late = connector.text(conversation, "wait!")
    assert late.json()["body"]["msg"] == "Bad Request, Conversation is close"
    opened = connector.call("conversation", connector.batch()).json()[1]
    assert opened["code"] == "BAD_REQUEST"
    action = {"type": "AcceptStatusEvent", "status": "ACTION", "sequenceList": [0]}
    metadata = button["click"]["metadata"]
    assert connector.publish(conversation, action, dialog=dialog, metadata=metadata).json()["body"] == {"sequence": 1}
    assert connector.text(conversation, "4", dialog=dialog, metadata=metadata).json()["body"] == {"sequence": 2}
    connector.text(conversation, "perhaps", dialog=dialog)
    connector.text(conversation, "yes", dialog=dialog)

    view = connector.read(conversation)
    assert view["stage"] == "CLOSE"
    assert view["csat"] == {"csatRate": 4, "csatResolutionConfirmation": True, "status": "FILLED"}
    assert said(view, dialog)[-1][2] == "Thank you for your feedback."
    assert survey_of(view)["closedBy"] == "AGENT"
    assert connector.open() != conversation


def test_answers_may_be_skipped(connector):
    conversation = assigned(connector)
    connector.agent(conversation, "close")
    dialog = survey_of(connector.read(conversation))["dialogId"]
    for _ in range(2):
        connector.text(conversation, "skip", dialog=dialog)
    view = connector.read(conversation)
    assert (view["stage"], view["csat"]["status"]) == ("CLOSE", "SKIPPED")


def test_typing_is_not_accepted_in_a_survey(connector):
    conversation = assigned(connector)
    connector.agent(conversation, "close")
    dialog = survey_of(connector.read(conversation))["dialogId"]
    state = {"type": "ChatStateEvent", "chatState": "COMPOSING"}
    assert connector.publish(conversation, state, dialog=dialog).status_code == 400


@pytest.mark.parametrize("field", ["ConversationStateField", "DialogChange", "Stage"])
def test_the_consumers_way_of_closing_decides(connector, field):
    conversation = assigned(connector)
    value = {"field": field, "conversationState": "CLOSE"}
    if field == "DialogChange":
        value = {"field": field, "type": "UPDATE", "dialog": {"dialogId": conversation, "state": "CLOSE"}}
    connector.send("cm.UpdateConversationField", {"conversationId": conversation, "conversationField": value})
    view = connector.read(conversation)
    assert view["state"] == "CLOSE"
    assert (survey_of(view) is None) == (field == "Stage")


def test_leaving_the_survey_dialog_ends_the_conversation(connector):
    conversation = assigned(connector)
    connector.agent(conversation, "close")
    dialog = survey_of(connector.read(conversation))["dialogId"]
    value = {"field": "DialogChange", "type": "UPDATE", "dialog": {"dialogId": dialog, "state": "CLOSE"}}
    body = {"conversationId": conversation, "conversationField": value}
    assert connector.send("cm.UpdateConversationField", body).status_code == 200
    assert connector.read(conversation)["stage"] == "CLOSE"


def test_no_survey_without_the_feature_an_agent_or_after_an_automatic_close(connector):
    connector.features = []
    without_feature = assigned(connector)
    connector.agent(without_feature, "close")
    assert survey_of(connector.read(without_feature)) is None
    connector.features = ["MULTI_DIALOG"]
    unassigned = connector.open()
    connector.agent(unassigned, "close")
    assert survey_of(connector.read(unassigned)) is None
    automatic = assigned(connector)
    connector.agent(automatic, "close", role="SYSTEM")
    view = connector.read(automatic)
    assert survey_of(view) is None
    assert view["closeReason"] == "SYSTEM"


def test_a_feature_that_a_later_request_leaves_out_is_gone(connector):
    conversation = assigned(connector)
    connector.features = []
    connector.text(conversation, "without the header's feature")
    connector.agent(conversation, "close")
    assert survey_of(connector.read(conversation)) is None


def test_the_agent_act_surveys_whatever_the_switch_says(simulator, connector):
    simulator.control("PATCH", f"accounts/{connector.account}", {"survey": False})
    conversation = assigned(connector)
    connector.agent(conversation, "survey", text="too early", expect=400)
    connector.agent(conversation, "survey")
    dialog = survey_of(connector.read(conversation))["dialogId"]
    connector.agent(conversation, "survey", text="Anything else?")
    assert said(connector.read(conversation), dialog)[-1] == (1, "AGENT", "Anything else?")
    connector.agent(conversation, "close")
    assert connector.read(conversation)["stage"] == "CLOSE"
