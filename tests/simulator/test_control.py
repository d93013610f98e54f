"""The control API: switches, logs, reset, refusals."""

import pytest
import requests


def test_a_new_account_is_quiet(simulator):
    view = simulator.control("GET", "accounts/12345678")
    assert (view["survey"], view["auto_messages"], view["echo"]) == (False, False, True)
    assert view["already_open_status"] == 400
    assert view["retry"] == {"mode": None, "scale": 1.0}
    assert view["signature"] == {"alg": "sha1", "enc": "base64"}
    assert view["installs"] == []


def test_switches_change_alone(simulator):
    simulator.control("PATCH", "accounts/1", {"retry": {"mode": "ttl"}})
    view = simulator.control("PATCH", "accounts/1", {"retry": {"scale": 0.01}, "survey": True})
    assert view["retry"] == {"mode": "ttl", "scale": 0.01}
    assert view["survey"] is True
    assert simulator.control("GET", "accounts/2")["survey"] is False


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"colour": "red"},
        {"survey": 1},
        {"already_open_status": 500},
        {"retry": {"mode": "often"}},
        {"retry": {"scale": 0}},
        {"retry": {"pause": 1}},
        {"signature": {"alg": "md5"}},
        {"quirks": ["all"]},
        {"files": {"types": ["EXE"]}},
        {"expire_tokens": "all"},
    ],
)
def test_unknown_switches_and_values_are_refused(simulator, body):
    before = simulator.control("GET", "accounts/1")
    answer = simulator.control("PATCH", "accounts/1", body, expect=400)
    assert answer["error"].endswith(".")
    assert simulator.control("GET", "accounts/1") == before


def test_a_body_that_is_no_json_is_refused(simulator):
    assert requests.patch(f"{simulator.url}/_simulator/accounts/1", data=b"{").status_code == 400


def test_every_request_is_logged_without_secrets(simulator):
    connector = simulator.connector()
    connector.open()
    entries = simulator.control("GET", "requests")["requests"]
    assert [(one["n"], one["on"], one["status"]) for one in entries] == [
        (1, "token", 200),
        (2, "consumer", 201),
        (3, "conversation", 200),
    ]
    assert entries[2]["body"][1]["type"] == "cm.ConsumerRequestConversation"
    assert entries[2]["ext_consumer_id"] == "sms:+15550100"
    assert connector.client_secret not in str(entries)
    assert connector.app_jwt not in str(entries)
    assert simulator.control("GET", "requests?since=2")["requests"] == entries[2:]
    simulator.control("GET", "requests?since=x", expect=400)


def test_reset_forgets_everything(simulator):
    connector = simulator.connector()
    connector.open()
    simulator.control("PUT", "faults", [{"on": "send", "do": "delay"}])
    assert simulator.control("POST", "reset") == {"reset": True}
    assert simulator.control("GET", "accounts") == {"accounts": []}
    assert simulator.control("GET", "requests") == {"requests": []}
    assert simulator.control("GET", "webhooks") == {"webhooks": []}
    assert simulator.control("GET", "faults") == {"faults": []}
    assert simulator.control("GET", f"accounts/{connector.account}/conversations") == {"conversations": []}


def test_unknown_addresses_and_methods_answer_in_json(simulator):
    simulator.control("GET", "nothing", expect=404)
    simulator.control("DELETE", "requests", expect=405)
    simulator.control("GET", "accounts/1/conversations/none", expect=404)


def test_pages_of_other_sites_cannot_drive_it(simulator):
    foreign = {"Origin": "https://evil.example.test"}
    answer = requests.post(f"{simulator.url}/_simulator/reset", headers=foreign)
    assert answer.status_code == 403
    assert requests.post(f"{simulator.url}/_simulator/reset", headers={"Origin": simulator.url}).status_code == 200
