"""One conversation from opening to closing, as a connector sees it."""

import base64
import hashlib
import hmac
import json

from .client import EVENTS, manifest


def bodies(receiver, count):
    return [json.loads(one["raw"]) for one in receiver.wait(count)]


def test_a_conversation_travels_both_ways(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url + "?b=a"))
    conversation = connector.open(profile={"firstName": "Ada"})
    answer = connector.text(conversation, "Where is my parcel? 👋")
    assert answer.status_code == 200
    assert answer.json() == {"code": "OK", "body": {"sequence": 0}, "reqId": "7"}
    connector.agent(conversation, "join")
    connector.agent(conversation, "read")
    connector.agent(conversation, "say", text="It leaves today.")
    connector.agent(conversation, "close")

    opened, echo, joined, read, said, closed = bodies(receiver, 6)
    details = opened["body"]["changes"][0]["result"]["conversationDetails"]
    assert (opened["type"], details["state"], details["stage"]) == (EVENTS[0], "OPEN", "OPEN")
    assert details["dialogs"][0]["metaData"] == {"appInstallId": connector.client_id}
    change = echo["body"]["changes"][0]
    assert echo["type"] == "ms.MessagingEventNotification"
    assert (change["sequence"], change["originatorMetadata"]["role"]) == (0, "CONSUMER")
    assert change["event"]["message"] == "Where is my parcel? 👋"
    roles = [p["role"] for p in joined["body"]["changes"][0]["result"]["conversationDetails"]["participants"]]
    assert roles == ["CONSUMER", "ASSIGNED_AGENT"]
    assert read["body"]["changes"][0]["event"] == {"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [0]}
    assert said["body"]["changes"][0]["sequence"] == 2
    assert said["body"]["changes"][0]["messageAudience"] == "ALL"
    last = closed["body"]["changes"][0]["result"]["conversationDetails"]
    assert (last["state"], last["stage"], last["closeReason"]) == ("CLOSE", "CLOSE", "AGENT")

    view = simulator.control("GET", f"accounts/{connector.account}/conversations")["conversations"]
    assert [one["id"] for one in view] == [conversation]
    assert view[0]["profile"] == {"firstName": "Ada"}
    texts = [(e["sequence"], e["role"], e["text"]) for e in view[0]["events"] if e["type"] == "ContentEvent"]
    assert texts == [(0, "CONSUMER", "Where is my parcel? 👋"), (2, "ASSIGNED_AGENT", "It leaves today.")]


def test_webhooks_carry_headers_and_a_signature_over_the_raw_bytes(simulator, receiver):
    connector = simulator.connector(
        body=manifest(receiver.url, headers=[{"header_name": "X-Env", "header_value": "stage"}])
    )
    connector.open()
    got = receiver.wait(1)[0]
    digest = hmac.new(connector.client_secret.encode(), got["raw"], hashlib.sha1).digest()
    assert got["headers"]["x-liveperson-signature"] == "sha1=" + base64.b64encode(digest).decode()
    assert got["headers"]["x-liveperson-account-id"] == connector.account
    assert got["headers"]["x-liveperson-client-id"] == connector.client_id
    assert got["headers"]["x-env"] == "stage"
