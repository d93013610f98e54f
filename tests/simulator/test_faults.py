"""Breaking things on purpose."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from .client import manifest


@pytest.fixture
def connector(simulator, receiver):
    made = simulator.connector(body=manifest(receiver.url, max_retries=1))
    simulator.control("PATCH", f"accounts/{made.account}", {"retry": {"scale": 0.001}})
    return made


def faults(connector, *rules):
    connector.simulator.control("PUT", "faults", list(rules))


def logged(connector, on):
    return [one for one in connector.simulator.control("GET", "requests")["requests"] if one["on"] == on]


def messages(connector, conversation):
    return [one["text"] for one in connector.read(conversation)["events"]]


# -- on the API


def test_a_status_is_answered_and_nothing_processed(connector):
    conversation = connector.open()
    rule = {"on": "send", "do": "status", "status": 429, "headers": {"Retry-After": "7"}, "times": 1}
    faults(connector, rule)
    answer = connector.text(conversation, "x")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json() == {"code": "TOO_MANY_REQUESTS", "body": {"msg": "TOO_MANY_REQUESTS"}, "reqId": "7"}
    assert connector.text(conversation, "y").status_code == 200
    assert messages(connector, conversation) == ["y"]
    assert [(one["status"], one["processed"]) for one in logged(connector, "send")] == [(429, False), (200, True)]


def test_a_401_looks_like_an_expired_token_or_like_what_the_rule_gives(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "status", "status": 401, "times": 1})
    assert connector.text(conversation, "x").json()["body"]["errorCode"] == 40102
    faults(connector, {"on": "send", "do": "status", "status": 400, "body": {"own": 1}})
    assert connector.text(conversation, "x").json() == {"own": 1}


def test_a_lost_answer_was_processed(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "lose_answer", "times": 1})
    with pytest.raises(requests.ConnectionError):
        connector.text(conversation, "x")
    assert messages(connector, conversation) == ["x"]
    entry = logged(connector, "send")[0]
    assert (entry["processed"], entry["answered"], entry["fault"]) == (True, False, "lose_answer")
    assert entry["body"]["body"]["event"]["message"] == "x"


def test_a_reset_was_not_processed_but_is_logged(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "reset", "times": 1})
    with pytest.raises(requests.ConnectionError):
        connector.text(conversation, "x")
    assert messages(connector, conversation) == []
    entry = logged(connector, "send")[0]
    assert (entry["processed"], entry["answered"], entry["status"]) == (False, False, None)


def test_garbage_is_no_json(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "garbage", "times": 1})
    answer = connector.text(conversation, "x")
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()


@pytest.mark.parametrize("do", ["delay", "slow_body"])
def test_answers_can_be_slow(connector, do):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": do, "seconds": 0.4, "times": 1})
    started = time.monotonic()
    assert connector.text(conversation, "x").json()["code"] == "OK"
    assert time.monotonic() - started >= 0.4


def test_a_client_that_gives_up_waiting_was_heard(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "delay", "seconds": 2, "times": 1})
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": "x"}
    request = {"id": "1", "type": "ms.PublishEvent", "body": {"dialogId": conversation, "event": event}}
    with pytest.raises(requests.Timeout):
        connector.call("conversation/send", request, timeout=0.2)
    assert messages(connector, conversation) == ["x"]


@pytest.mark.parametrize("on", ["conversation", "token", "consumer", "domain", "upload"])
def test_every_service_can_fail(connector, on):
    faults(connector, {"on": on, "do": "status", "status": 503})
    base = connector.simulator.url
    calls = {
        "conversation": lambda: connector.call("conversation", connector.batch()),
        "token": connector.token,
        "consumer": lambda: requests.post(f"{base}/api/account/{connector.account}/consumer", json={}),
        "domain": lambda: requests.get(f"{base}/api/account/{connector.account}/service/baseURI.json"),
        "upload": lambda: requests.put(f"{base}/v1/AUTH_async-images/{connector.account}/x", data=b"x"),
    }
    assert calls[on]().status_code == 503
    connector.simulator.control("DELETE", "faults")
    assert calls[on]().status_code != 503


def test_rules_may_be_bound_to_an_account_and_a_rate(simulator, connector):
    other = simulator.connector("999")
    faults(connector, {"on": "token", "do": "status", "status": 500, "account": "999"})
    assert (connector.token().status_code, other.token().status_code) == (200, 500)
    faults(connector, {"on": "token", "do": "status", "status": 500, "rate": 0.5})
    statuses = [connector.token().status_code for _ in range(60)]
    assert 10 <= statuses.count(500) <= 50
    faults(connector, {"on": "token", "do": "status", "status": 500, "rate": 0})
    assert connector.token().status_code == 200


def test_the_first_rule_that_fits_applies(connector):
    faults(
        connector,
        {"on": "token", "do": "status", "status": 500, "times": 1},
        {"on": "token", "do": "status", "status": 429},
    )
    assert [connector.token().status_code for _ in range(2)] == [500, 429]


# -- on webhooks


def test_an_answer_can_be_held_until_the_rule_is_gone(connector):
    conversation = connector.open()
    faults(connector, {"on": "send", "do": "hold"})
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(connector.text, conversation, "x")
        while not messages(connector, conversation):
            time.sleep(0.01)
        time.sleep(0.2)
        assert not under_way.done()
        faults(connector)
        assert under_way.result().json()["code"] == "OK"


def texts(receiver):
    changes = [json.loads(one["raw"])["body"]["changes"][0] for one in receiver.got]
    return [one["event"]["message"] for one in changes if one.get("event", {}).get("type") == "ContentEvent"]


@pytest.fixture
def conversation(connector, receiver):
    opened = connector.open()
    receiver.wait(1)
    return opened


def test_a_notification_can_come_twice(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "duplicate", "times": 1})
    connector.text(conversation, "x")
    receiver.wait(3)
    assert texts(receiver) == ["x", "x"]
    assert connector.simulator.settled()[1]["attempts"] == 2


def test_a_notification_can_be_overtaken(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "reorder", "times": 1})
    connector.text(conversation, "one")
    connector.text(conversation, "two")
    connector.text(conversation, "three")
    receiver.wait(4)
    assert texts(receiver) == ["two", "one", "three"]


def test_a_notification_that_nothing_overtakes_goes_in_the_end(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "reorder", "times": 1, "seconds": 0.1})
    connector.text(conversation, "one")
    receiver.wait(2)
    assert texts(receiver) == ["one"]


def test_notifications_can_be_held_until_the_rule_is_gone(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "hold"})
    connector.text(conversation, "one")
    connector.text(conversation, "two")
    time.sleep(0.2)
    assert texts(receiver) == []
    connector.simulator.control("DELETE", "faults")
    receiver.wait(3)
    assert texts(receiver) == ["one", "two"]


def test_holding_may_end_by_itself(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "hold", "seconds": 0.2})
    connector.text(conversation, "one")
    receiver.wait(2)
    assert texts(receiver) == ["one"]


def test_a_notification_can_be_dropped(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "reset", "times": 1})
    connector.text(conversation, "one")
    connector.text(conversation, "two")
    entries = connector.simulator.settled()
    assert texts(receiver) == ["two"]
    assert (entries[1]["state"], entries[1]["attempts"]) == ("dropped", 0)


@pytest.mark.parametrize(("do", "times_received"), [("lose_answer", 2), ("status", 1)])
def test_an_answer_can_be_ignored_so_that_a_retry_follows(connector, conversation, receiver, do, times_received):
    faults(connector, {"on": "webhook", "do": do, "times": 1, **({"status": 500} if do == "status" else {})})
    connector.text(conversation, "x")
    entry = connector.simulator.settled()[1]
    assert (entry["state"], entry["attempts"]) == ("delivered", 2)
    assert texts(receiver) == ["x"] * times_received


def test_an_authentic_notification_can_be_unreadable(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "garbage", "times": 1})
    connector.text(conversation, "x")
    raw = receiver.wait(2)[1]["raw"]
    with pytest.raises(ValueError):
        json.loads(raw)
    assert receiver.got[1]["headers"]["x-liveperson-signature"].startswith("sha1=")


def test_a_notification_can_dribble(connector, conversation, receiver):
    faults(connector, {"on": "webhook", "do": "slow_body", "seconds": 0.4, "times": 1})
    started = time.monotonic()
    connector.text(conversation, "x")
    got = receiver.wait(2)[1]
    assert time.monotonic() - started >= 0.35
    assert got["headers"]["transfer-encoding"] == "chunked"
    assert texts(receiver) == ["x"]


# -- the rules themselves


@pytest.mark.parametrize(
    "rules",
    [
        {"on": "send"},
        [{"on": "send"}],
        [{"on": "nowhere", "do": "delay"}],
        [{"on": "send", "do": "explode"}],
        [{"on": "send", "do": "duplicate"}],
        [{"on": "send", "do": "reorder"}],
        [{"on": "send", "do": "status"}],
        [{"on": "send", "do": "delay", "extra": 1}],
        [{"on": "send", "do": "delay", "seconds": -1}],
        [{"on": "send", "do": "delay", "rate": 2}],
        [{"on": "send", "do": "delay", "times": 0}],
        [{"on": "send", "do": "status", "status": "500"}],
        [{"on": "send", "do": "status", "status": 500, "headers": {"Retry-After": 1}}],
    ],
)
def test_rules_that_cannot_be_are_refused_and_change_nothing(simulator, rules):
    kept = [{"on": "token", "do": "delay", "seconds": 0}]
    simulator.control("PUT", "faults", kept)
    assert simulator.control("PUT", "faults", rules, expect=400)["error"].endswith(".")
    assert len(simulator.control("GET", "faults")["faults"]) == 1
