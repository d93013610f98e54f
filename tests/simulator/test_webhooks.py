"""Delivery: who gets what, signed how, in which order, and what happens when an endpoint fails."""

import base64
import hashlib
import hmac
import json
import socket
import time

import pytest

from .client import EVENTS, manifest


def switch(connector, **switches):
    return connector.simulator.control("PATCH", f"accounts/{connector.account}", switches)


def texts(receiver):
    found = []
    for one in receiver.got:
        for change in json.loads(one["raw"])["body"]["changes"]:
            if change.get("event", {}).get("type") == "ContentEvent":
                found.append(change["event"]["message"])
    return found


def state(connector):
    view = connector.simulator.control("GET", f"accounts/{connector.account}")
    return view["installs"][0]["webhooks"]["state"]


def wait_for_state(connector, wanted, *, within_s=30):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if state(connector) == wanted:
            return
        time.sleep(0.01)
    raise AssertionError(f"the install is {state(connector)}, not {wanted}")


# -- shape


@pytest.mark.parametrize("alg", ["sha1", "sha256"])
@pytest.mark.parametrize("enc", ["base64", "hex"])
def test_signatures_come_in_four_forms(simulator, receiver, alg, enc):
    connector = simulator.connector(body=manifest(receiver.url))
    switch(connector, signature={"alg": alg, "enc": enc})
    connector.open(profile={"firstName": "Grüße"})
    got = receiver.wait(1)[0]
    digest = hmac.new(connector.client_secret.encode(), got["raw"], getattr(hashlib, alg)).digest()
    encoded = digest.hex() if enc == "hex" else base64.b64encode(digest).decode()
    assert got["headers"]["x-liveperson-signature"] == f"{alg}={encoded}"


def test_the_documented_vector_is_reproduced():
    from simulator.posting import sign

    assert (
        sign(secret="s3cr3t-demo-0001", raw=b'{"a":1}', alg="sha1", enc="base64") == "sha1=tEv6ZJCIegsafKX+8CnFPHBB5+c="
    )


def test_bodies_are_compact_utf8_unless_asked_otherwise(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    conversation = connector.open()
    connector.text(conversation, "Grüße 👋")
    plain = receiver.wait(2)[1]["raw"]
    assert "Grüße 👋".encode() in plain
    assert b": " not in plain
    assert isinstance(json.loads(plain)["body"]["sentTs"], int)
    quirks = ["unicode_escapes", "null_metadata", "no_conversation_id", "no_sent_ts", "subscription_id", "chunked"]
    switch(connector, quirks=quirks)
    connector.text(conversation, "Grüße 👋")
    odd = receiver.wait(3)[2]
    assert odd["raw"].isascii()
    assert odd["headers"]["transfer-encoding"] == "chunked"
    body = json.loads(odd["raw"])["body"]
    change = body["changes"][0]
    assert change["event"]["message"] == "Grüße 👋"
    assert change["metadata"] is None
    assert "conversationId" not in change
    assert ("sentTs" in body, "subscriptionId" in body) == (False, True)


# -- who gets what


def test_every_enabled_install_gets_its_own_signed_copy(simulator, receiver):
    first = simulator.connector(body=manifest(receiver.url + "?1"))
    second = simulator.connector(body=manifest(receiver.url + "?2"))
    third = simulator.connector(body=manifest(receiver.url + "?3"))
    other = simulator.connector("999", body=manifest(receiver.url + "?4"))
    simulator.control("PATCH", f"accounts/{third.account}/installs/{third.client_id}", {"enabled": False})
    first.open()
    simulator.settled()
    got = {one["path"]: one for one in receiver.wait(2)}
    assert set(got) == {"/hook?1", "/hook?2"}
    assert got["/hook?2"]["headers"]["x-liveperson-client-id"] == second.client_id
    assert got["/hook?1"]["raw"] == got["/hook?2"]["raw"]
    assert other.account == "999"


def test_only_subscribed_events_are_sent(simulator, receiver):
    hooks = {EVENTS[1]: {"endpoint": receiver.url}}
    connector = simulator.connector(body={"capabilities": {"webhooks": hooks}})
    conversation = connector.open()
    connector.text(conversation, "x")
    connector.agent(conversation, "close")
    simulator.settled()
    assert texts(receiver) == ["x"]
    assert len(receiver.got) == 1


def test_the_consumers_own_messages_need_not_be_echoed(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    switch(connector, echo=False)
    conversation = connector.open()
    connector.text(conversation, "mine")
    connector.publish(conversation, {"type": "ChatStateEvent", "chatState": "COMPOSING"})
    connector.agent(conversation, "say", text="theirs")
    simulator.settled()
    assert texts(receiver) == ["theirs"]
    assert len(receiver.got) == 3


def test_foreign_conversations_are_notified_too(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    simulator.control("POST", f"accounts/{connector.account}/conversations", {"ext_consumer_id": "web:1", "text": "hi"})
    opened = json.loads(receiver.wait(2)[0]["raw"])["body"]["changes"][0]["result"]["conversationDetails"]
    assert opened["dialogs"][0]["metaData"]["appInstallId"] != connector.client_id
    assert texts(receiver) == ["hi"]


def test_notifications_can_be_made_by_hand(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    body = {"type": "ms.Unheard", "changes": [{"type": "DELETE", "result": {"convId": "x"}}], "event": EVENTS[1]}
    assert simulator.control("POST", f"accounts/{connector.account}/notify", body) == {"queued": 1}
    got = json.loads(receiver.wait(1)[0]["raw"])
    assert (got["type"], got["body"]["changes"]) == ("ms.Unheard", body["changes"])


# -- order


def test_a_conversation_keeps_its_order_and_others_go_beside_it(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    slow, quick = connector.open(ext_id="slow"), connector.open(ext_id="quick")
    receiver.wait(2)
    simulator.control("PUT", "faults", [{"on": "webhook", "do": "hold", "times": 1}])
    for number in range(5):
        connector.text(slow, f"s{number}", ext_id="slow")
    for number in range(5):
        connector.text(quick, f"q{number}", ext_id="quick")
    receiver.wait(7)
    simulator.control("DELETE", "faults")
    receiver.wait(12)
    got = texts(receiver)
    assert [one for one in got if one[0] == "s"] == [f"s{n}" for n in range(5)]
    assert [one for one in got if one[0] == "q"] == [f"q{n}" for n in range(5)]
    assert [one[0] for one in got] == ["q"] * 5 + ["s"] * 5


# -- retries by number


def test_failures_are_retried_by_number_and_overtaken(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url, max_retries=2))
    switch(connector, retry={"scale": 0.01})
    conversation = connector.open()
    receiver.wait(1)
    receiver.answers = [500, 200, 204]
    connector.text(conversation, "one")
    connector.text(conversation, "two")
    receiver.wait(5)
    assert texts(receiver) == ["one", "two", "one", "one"]
    at = [one["at"] for one in receiver.got[1:] if b'"one"' in one["raw"]]
    assert all(later - earlier > 0.28 for earlier, later in zip(at, at[1:], strict=False))
    entry = simulator.settled()[1]
    assert (entry["state"], entry["attempts"], entry["status"]) == ("delivered", 3, 200)
    assert [one["status"] for one in entry["tries"]] == [500, 204, 200]


def test_without_retries_a_failed_notification_is_lost(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    receiver.answers = [503]
    connector.open()
    entry = simulator.settled()[0]
    assert (entry["state"], entry["attempts"], entry["status"]) == ("failed", 1, 503)
    assert len(receiver.got) == 1


def test_an_endpoint_that_is_down_is_an_attempt_without_status(simulator):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    connector = simulator.connector(body=manifest(f"http://127.0.0.1:{port}/", max_retries=1))
    switch(connector, retry={"scale": 0.001})
    connector.open()
    entry = simulator.settled()[0]
    assert (entry["state"], entry["attempts"], entry["status"]) == ("failed", 2, None)
    assert entry["tries"][0]["error"]


# -- retries by time to live


def ttl(url, *, retention_s=86_400, **entry):
    body = manifest(url, **entry)
    body["capabilities"]["webhooks"]["retry"] = {"retention_time": retention_s}
    return body


def test_an_outage_fails_the_install_and_drains_in_order(simulator, receiver):
    connector = simulator.connector(body=ttl(receiver.url))
    switch(connector, retry={"scale": 0.05})
    first, second = connector.open(ext_id="a"), connector.open(ext_id="b")
    receiver.wait(2)
    receiver.answers = [500, 500, 500]
    connector.text(first, "a0", ext_id="a")
    wait_for_state(connector, "Failed")
    for number in range(1, 4):
        connector.text(first, f"a{number}", ext_id="a")
        connector.text(second, f"b{number}", ext_id="b")
    entries = simulator.settled()
    # 500 at once, then after 2 and after 4 units, delivered after 8 more
    assert [one["status"] for one in entries[2]["tries"]] == [500, 500, 500, 200]
    times = [one["at"] for one in receiver.got if b'"a0"' in one["raw"]]
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert all(gap >= wanted - 0.02 for gap, wanted in zip(gaps, (0.1, 0.2, 0.4), strict=True))
    got = texts(receiver)
    assert [one for one in got if one[0] == "a"] == ["a0"] * 4 + ["a1", "a2", "a3"]
    assert [one for one in got if one[0] == "b"] == ["b1", "b2", "b3"]
    assert all(one["attempts"] == 1 for one in entries[3:])
    wait_for_state(connector, "Up")


def test_what_is_older_than_the_retention_time_is_given_up(simulator, receiver):
    connector = simulator.connector(body=ttl(receiver.url, retention_s=5))
    switch(connector, retry={"scale": 0.05})
    receiver.answers = [500] * 100
    connector.open()
    entry = simulator.settled()[0]
    assert entry["state"] == "expired"
    assert entry["attempts"] <= 3


def test_an_endpoint_without_retries_does_not_fail_the_install(simulator, receiver):
    connector = simulator.connector(body=ttl(receiver.url, max_retries=0))
    receiver.answers = [500]
    connector.open()
    assert simulator.settled()[0]["state"] == "failed"
    assert state(connector) == "Up"


@pytest.mark.parametrize(("mode", "end"), [("count", "failed"), ("ttl", "delivered")])
def test_the_account_may_choose_the_mode(simulator, receiver, mode, end):
    body = ttl(receiver.url) if mode == "count" else manifest(receiver.url)
    connector = simulator.connector(body=body)
    switch(connector, retry={"mode": mode, "scale": 0.01})
    receiver.answers = [500]
    connector.open()
    assert simulator.settled()[0]["state"] == end


def test_a_disabled_install_is_sent_nothing_more(simulator, receiver):
    connector = simulator.connector(body=ttl(receiver.url))
    switch(connector, retry={"scale": 0.1})
    receiver.answers = [500] * 10
    connector.open()
    wait_for_state(connector, "Failed")
    simulator.control("PATCH", f"accounts/{connector.account}/installs/{connector.client_id}", {"enabled": False})
    assert simulator.settled()[0]["state"] == "cancelled"


# -- the log


def test_the_log_lists_from_where_it_is_asked(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    conversation = connector.open()
    connector.text(conversation, "x")
    entries = simulator.settled()
    assert [one["event"] for one in entries] == [EVENTS[0], EVENTS[1]]
    assert all(one["milliseconds"] > 0 and len(one["id"]) == 32 for one in entries)
    assert entries[1]["body"].encode() == receiver.got[1]["raw"]
    assert simulator.control("GET", "webhooks?since=1")["webhooks"] == entries[1:]
    assert simulator.control("GET", "webhooks?since=9")["webhooks"] == []
