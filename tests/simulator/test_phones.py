"""Phones: the far end of a custom channel, signed both ways."""

import json
import time

import pytest
import requests

from simulator.png import sample_png

from .channel import ADA, SECRET, post, say, signature
from .conftest import free_port


def messages(phone):
    return phone.control("GET", "phones/acme/messages")["messages"]


# -- what the consumer says


def test_a_text_is_signed_and_posted(phone, receiver):
    answer = say(phone, text="Where is my parcel? 👋")
    assert (answer["status"], answer["answer"]) == (200, {"text": "OK"})
    got = receiver.wait(1)[0]
    headers = got["headers"]
    expected = signature(headers["webhook-id"], headers["webhook-timestamp"], got["raw"])
    assert headers["webhook-signature"] == expected
    event = json.loads(got["raw"])
    assert event["type"] == "message.received"
    assert event["timestamp"].endswith("Z")
    assert event["data"] == {"id": answer["id"], "consumer": ADA, "text": "Where is my parcel? 👋"}


def test_every_event_type_can_be_sent_for_any_consumer(phone, receiver):
    bo = {"id": "b", "name": "Bo"}
    say(phone, type="typing.started", consumer=bo)
    say(phone, type="quick_reply.chosen", consumer=bo, choice="c-1")
    say(phone, type="message.status", id="m-9", status="failed", reason="blocked")
    say(phone, id="m-1", text="x", consumer=bo, webhook_id="w-9")
    events = [json.loads(one["raw"]) for one in receiver.wait(4)]
    assert events[0]["data"] == {"consumer": bo}
    assert events[1]["data"]["choice"] == "c-1"
    assert events[1]["data"]["id"]
    assert events[2]["data"] == {"id": "m-9", "status": "failed", "reason": "blocked"}
    assert events[3]["data"]["id"] == "m-1"
    assert receiver.got[3]["headers"]["webhook-id"] == "w-9"


def test_the_connectors_answer_is_reported(phone, receiver):
    receiver.answers = [503]
    assert say(phone, text="x")["status"] == 503
    settings = {"name": "a", "brand": "b", "webhook_url": f"http://127.0.0.1:{free_port()}/", "secret": SECRET}
    phone.control("PUT", "phones/acme", {**settings, "consumer": ADA})
    unreachable = say(phone, text="y")
    assert unreachable["status"] == 0
    assert "could not be reached" in unreachable["answer"]["error"]


def test_files_of_a_phone_are_served(phone):
    url = f"{phone.url}/_simulator/phones/acme/files"
    stored = requests.post(url, data=sample_png(), headers={"Content-Type": "image/png"}).json()["url"]
    assert stored.startswith(f"{phone.url}/phone-files/")
    got = requests.get(stored)
    assert (got.content, got.headers["content-type"]) == (sample_png(), "image/png")


def test_a_file_that_could_run_in_a_browser_is_only_offered_for_download(phone):
    url = f"{phone.url}/_simulator/phones/acme/files"
    stored = requests.post(url, data=b"<script>", headers={"Content-Type": "text/html"}).json()["url"]
    got = requests.get(stored)
    assert (got.headers["content-type"], got.headers["content-disposition"]) == (
        "application/octet-stream",
        "attachment",
    )


# -- what reaches the inbox


def test_an_authentic_post_is_taken_once(phone):
    assert post(phone, "message.created", {"id": "m-1", "text": "Hi", "consumer": {"id": ADA["id"]}}).json() == {
        "ok": True
    }
    again = post(phone, "message.created", {"id": "m-1", "text": "Hi", "consumer": {"id": ADA["id"]}})
    assert (again.status_code, again.json()) == (200, {"duplicate": True})
    first, second = messages(phone)
    assert (first["n"], first["type"], first["webhook_id"], first["verified"]) == (1, "message.created", "w-1", True)
    assert first["data"]["text"] == "Hi"
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert phone.control("GET", "phones/acme/messages?since=1")["messages"] == [second]


@pytest.mark.parametrize(("secret", "off_s"), [("whsec_b3RoZXI=", 0), (SECRET, -400), (SECRET, 400)])
def test_a_post_that_is_not_authentic_is_refused_and_shown(phone, secret, off_s):
    # The time is taken here: between the naming of the cases and their turn minutes may pass.
    broken = {"secret": secret, "at": time.time() + off_s}
    assert post(phone, "message.created", {"id": "m-1"}, **broken).status_code == 401
    assert [(one["verified"], one["duplicate"]) for one in messages(phone)] == [(False, False)]
    assert post(phone, "message.created", {"id": "m-1"}).json() == {"ok": True}


def test_a_post_without_any_signature_is_refused(phone):
    assert requests.post(f"{phone.url}/phones/acme/inbox", data=b"{}").status_code == 401


def test_the_documented_signature_is_reproduced():
    from simulator.standard_webhooks import _signature, decode_secret

    body = b'{"type":"message.send","id":"part-0001","to":{"id":"user-9"},"text":"hello"}'
    found = _signature(decode_secret(SECRET), webhook_id="msg_OUT0001", timestamp="1700000000", body=body)
    assert found == "v1,uRjzUxrwXdrjcu3IzwTHY5l5MNjPVZe9B7Sw72bWnCo="


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"[" * 5000, b"[]", b'{"data": 5}', b'"x"'])
def test_odd_bodies_are_recorded_not_fatal(phone, raw):
    assert post(phone, None, None, raw=raw).status_code == 200
    assert len(messages(phone)) == 1
    assert requests.get(f"{phone.url}/phone/acme").status_code == 200


def test_the_inbox_of_an_unknown_phone_is_not_there(phone):
    assert requests.post(f"{phone.url}/phones/none/inbox", data=b"{}").status_code == 404
    assert requests.get(f"{phone.url}/phones/acme/inbox").status_code == 405


# -- faults on the inbox


def fault(phone, **rule):
    phone.control("PUT", "faults", [{"on": "phone", "times": 1, **rule}])


def test_the_inbox_can_refuse(phone):
    fault(phone, do="status", status=410)
    assert post(phone, "message.created", {"id": "m-1"}).status_code == 410
    assert post(phone, "message.created", {"id": "m-1"}).json() == {"ok": True}
    assert [(one["status"], one["processed"]) for one in messages(phone)] == [(410, False), (200, True)]


def test_the_inbox_can_lose_its_answer_after_or_before_it_took_the_message(phone):
    fault(phone, do="lose_answer")
    with pytest.raises(requests.ConnectionError):
        post(phone, "message.created", {"id": "m-1"}, webhook_id="lost")
    assert post(phone, "message.created", {"id": "m-1"}, webhook_id="lost").json() == {"duplicate": True}
    fault(phone, do="reset")
    with pytest.raises(requests.ConnectionError):
        post(phone, "message.created", {"id": "m-2"}, webhook_id="reset")
    assert post(phone, "message.created", {"id": "m-2"}, webhook_id="reset").json() == {"ok": True}


def test_the_inbox_can_be_bound_to_an_account_and_be_slow(phone):
    fault(phone, do="status", status=500, account="2")
    assert post(phone, "agent.typing", {"on": True}).status_code == 200
    fault(phone, do="delay", seconds=0.3)
    started = time.monotonic()
    assert post(phone, "agent.typing", {"on": False}, webhook_id="w-2").status_code == 200
    assert time.monotonic() - started >= 0.3


# -- settings


def test_phones_are_listed_without_their_secret(phone):
    listed = phone.control("GET", "phones")["phones"]
    assert (listed[0]["key"], listed[0]["brand"], listed[0]["page"]) == ("acme", "Acme", "/phone/acme")
    assert "secret" not in listed[0]


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "x"},
        {"secret": "whsec_?"},
        {"webhook_url": "ftp://x"},
        {"consumer": {}},
        {"consumer": 1},
        {"colour": 1},
    ],
)
def test_broken_settings_are_refused(simulator, receiver, change):
    body = {"name": "a", "brand": "b", "webhook_url": receiver.url, "secret": SECRET, "consumer": ADA, **change}
    simulator.control("PUT", "phones/x", body, expect=400)
    assert simulator.control("GET", "phones") == {"phones": []}


def test_what_cannot_be_said_is_refused(phone):
    phone.control("POST", "phones/acme/say", {"type": "message.sung"}, expect=400)
    phone.control("POST", "phones/acme/say", [], expect=400)
    phone.control("POST", "phones/none/say", {}, expect=404)
