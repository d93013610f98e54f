"""What agents, managers, bots and the system do, and how it reaches the connector."""

import base64
import json
from urllib.parse import urlencode

import pytest
import requests

from simulator.png import sample_png

from .client import manifest


@pytest.fixture
def connector(simulator, receiver):
    return simulator.connector(body=manifest(receiver.url))


@pytest.fixture
def conversation(connector, receiver):
    opened = connector.open()
    connector.text(opened, "Hello")
    receiver.wait(2)
    receiver.got.clear()
    return opened


def changes(receiver, count):
    return [json.loads(one["raw"])["body"]["changes"] for one in receiver.wait(count)]


def details(change):
    return change[0]["result"]["conversationDetails"]


def test_whoever_speaks_has_joined(connector, conversation, receiver):
    connector.agent(conversation, "say", text="Hi")
    joined, said = changes(receiver, 2)
    assert "ASSIGNED_AGENT" in [one["role"] for one in details(joined)["participants"]]
    assert said[0]["event"] == {"type": "ContentEvent", "message": "Hi", "contentType": "text/plain"}


def test_joining_twice_is_announced_once(connector, conversation, receiver):
    connector.agent(conversation, "join")
    connector.agent(conversation, "join")
    connector.agent(conversation, "typing")
    assert [one[0].get("type") for one in changes(receiver, 2)] == ["UPSERT", None]


def test_two_texts_at_once_share_one_notification(connector, conversation, receiver):
    connector.agent(conversation, "join")
    connector.agent(conversation, "say", text=["one", "two"])
    both = changes(receiver, 2)[1]
    assert [(one["sequence"], one["event"]["message"]) for one in both] == [(1, "one"), (2, "two")]


def test_agents_texts_may_end_with_a_newline(simulator, connector, conversation):
    simulator.control("PATCH", f"accounts/{connector.account}", {"agent_newline": True})
    connector.agent(conversation, "say", text="Hi")
    connector.agent(conversation, "say", text="beep", role="AGENT")
    assert [one["text"] for one in connector.read(conversation)["events"][1:]] == ["Hi\n", "beep"]


def test_typing_has_neither_sequence_nor_time(connector, conversation, receiver):
    connector.agent(conversation, "join")
    connector.agent(conversation, "typing")
    connector.agent(conversation, "stop_typing")
    _, typing, stopped = changes(receiver, 3)
    assert typing[0]["event"] == {"type": "ChatStateEvent", "chatState": "COMPOSING"}
    assert stopped[0]["event"]["chatState"] == "ACTIVE"
    assert not {"sequence", "serverTimestamp"} & set(typing[0])


def test_receipts_take_what_is_unread_or_what_is_named(connector, conversation):
    connector.text(conversation, "again")
    assert connector.agent(conversation, "accept")["sequences"] == [2]
    connector.agent(conversation, "read", sequences=[0])
    connector.agent(conversation, "read")
    assert connector.agent(conversation, "read")["sequences"] == []
    receipts = [(one["status"], one["sequenceList"]) for one in connector.read(conversation)["events"][2:]]
    assert receipts == [("ACCEPT", [0, 1]), ("READ", [0]), ("READ", [1])]


def test_private_notes_are_marked(connector, conversation, receiver):
    connector.agent(conversation, "join")
    connector.agent(conversation, "whisper", text="VIP")
    assert changes(receiver, 2)[1][0]["messageAudience"] == "AGENTS_AND_MANAGERS"


def test_rich_content_stands_under_content(connector, conversation, receiver):
    card = {"type": "vertical", "elements": [{"type": "text", "text": "Parcel"}]}
    replies = {"type": "quickReplies", "itemsPerRow": 1, "replies": []}
    metadata = [{"type": "ExternalId", "id": "card-1"}]
    connector.agent(conversation, "rich", content=card, quickReplies=replies, metadata=metadata)
    change = changes(receiver, 2)[1][0]
    assert change["event"] == {"type": "RichContentEvent", "content": card, "quickReplies": replies}
    assert change["metadata"] == metadata


def test_quick_replies_ride_on_texts(connector, conversation, receiver):
    replies = {"type": "quickReplies", "itemsPerRow": 1, "replies": [{"type": "button", "title": "1"}]}
    connector.agent(conversation, "say", text="Rate us", quickReplies=replies)
    assert changes(receiver, 2)[1][0]["event"]["quickReplies"] == replies


@pytest.mark.parametrize(
    "content", [None, {"caption": "a", "fileType": "PDF", "data": base64.b64encode(b"%PDF").decode()}]
)
def test_an_agents_file_can_be_fetched(simulator, connector, conversation, receiver, content):
    connector.agent(conversation, "file", **({"content": content} if content else {}))
    message = changes(receiver, 2)[1][0]["event"]["message"]
    assert message["fileType"] == ("PDF" if content else "PNG")
    answer = connector.send("ms.GenerateURLForDownloadFile", {"relativePath": message["relativePath"]}).json()["body"]
    got = requests.get(f"{simulator.url}{answer['relativePath']}?{urlencode(answer['queryParams'])}")
    assert got.content == (b"%PDF" if content else sample_png())


@pytest.mark.parametrize("skill", ["77", None])
def test_a_transfer_removes_the_agent(connector, conversation, receiver, skill):
    connector.agent(conversation, "join")
    connector.agent(conversation, "transfer", **({"text": skill} if skill else {}))
    left = details(changes(receiver, 2)[1])
    assert [one["role"] for one in left["participants"]] == ["CONSUMER"]
    assert [one["role"] for one in left["dialogs"][0]["participantsDetails"]] == ["CONSUMER"]
    assert left["skillId"] == left["conversationHandlerDetails"]["skillId"] == (skill or "-1")


@pytest.mark.parametrize("role", ["MANAGER", "AGENT", "CONTROLLER"])
def test_others_than_the_agent_may_speak(connector, conversation, role):
    connector.agent(conversation, "say", text="Hi", role=role)
    assert connector.read(conversation)["events"][-1]["role"] == role


def test_closing_tells_who_and_when(connector, conversation, receiver):
    connector.agent(conversation, "close")
    change = changes(receiver, 1)[0]
    closed = details(change)
    assert (closed["state"], closed["stage"], closed["closeReason"]) == ("CLOSE", "CLOSE", "AGENT")
    assert closed["dialogs"][0]["closedBy"] == "AGENT"
    assert closed["endTs"] == closed["dialogs"][0]["endTs"]
    assert change[0]["result"]["effectiveTTR"] == -1


def test_every_change_has_a_later_stamp(connector, conversation, receiver):
    connector.agent(conversation, "join")
    connector.agent(conversation, "transfer")
    connector.agent(conversation, "join")
    connector.agent(conversation, "close")
    stamps = [details(one)["metaDataLastUpdateTs"] for one in changes(receiver, 4)]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize(
    ("features", "expected"), [(["AUTO_MESSAGES"], ["CONSUMER", "CONTROLLER", "CONSUMER"]), ([], ["CONSUMER"] * 2)]
)
def test_an_automatic_message_greets_whoever_announced_it(simulator, connector, features, expected):
    simulator.control("PATCH", f"accounts/{connector.account}", {"auto_messages": True})
    connector.features = features
    opened = connector.open(ext_id="b")
    connector.text(opened, "one", ext_id="b")
    connector.text(opened, "two", ext_id="b")
    assert [one["role"] for one in connector.read(opened)["events"]] == expected


@pytest.mark.parametrize(
    "act",
    [
        {"do": "dance"},
        {"do": "say"},
        {"do": "say", "text": ""},
        {"do": "say", "text": 5},
        {"do": "say", "text": "x", "extra": 1},
        {"do": "say", "text": "x", "role": "CONSUMER"},
        {"do": "say", "text": "x", "role": "SYSTEM"},
        {"do": "file", "content": {"data": "?"}},
        {"do": "file", "content": {"fileType": "EXE"}},
        {"do": "read", "sequences": ["0"]},
        {"text": "x"},
    ],
)
def test_acts_that_cannot_be_are_refused_with_a_sentence(connector, conversation, act):
    path = f"accounts/{connector.account}/conversations/{conversation}/agent"
    before = connector.read(conversation)
    assert connector.simulator.control("POST", path, act, expect=400)["error"].endswith(".")
    assert connector.read(conversation) == before


def test_a_closed_conversation_takes_no_act(connector, conversation):
    connector.agent(conversation, "close")
    for do in ("join", "typing", "transfer", "close", "survey"):
        connector.agent(conversation, do, expect=400)
    connector.agent("nowhere", "join", expect=404)
