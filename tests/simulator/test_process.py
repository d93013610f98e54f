"""The process itself: its start, its end, and what survives."""

import json
import subprocess
import sys

import requests

from .client import Simulator, manifest
from .conftest import ROOT


def test_state_and_keys_survive_a_kill(process, receiver):
    api = Simulator(process.url)
    connector = api.connector(body=manifest(receiver.url))
    api.control("PATCH", f"accounts/{connector.account}", {"survey": True})
    conversation = connector.open(profile={"firstName": "Ada"})
    connector.text(conversation, "before 👋")
    phone = {"name": "a", "brand": "b", "webhook_url": receiver.url, "secret": "whsec_AAAA", "consumer": {"id": "c"}}
    api.control("PUT", "phones/p", phone)
    api.control("POST", "phones/p/say", {"text": "from the phone"})
    api.settled()
    before = {path: api.control("GET", path) for path in ("accounts", "requests", "webhooks", "phones")}
    view = connector.read(conversation)

    process.kill()
    process.start()
    assert {path: api.control("GET", path) for path in before} == before
    assert connector.read(conversation) == view
    assert "from the phone" in requests.get(f"{process.url}/phone/p").text
    assert connector.text(conversation, "after").json()["body"] == {"sequence": 1}
    opened = connector.call("conversation", connector.batch()).json()[1]
    assert opened["code"] == "BAD_REQUEST"


def test_a_half_written_line_is_dropped_at_the_next_start(process):
    api = Simulator(process.url)
    api.install("1", {"client_name": "kept"})
    process.kill()
    for name in ("state", "requests", "webhooks", "phones"):
        with (process.data_dir / f"{name}.jsonl").open("a") as log:
            log.write('["install","1/x",{"client_na')
    process.start()
    installs = api.control("GET", "accounts")["accounts"][0]["installs"]
    assert [one["manifest"]["client_name"] for one in installs] == ["kept"]
    api.install("1", {"client_name": "later"})


def test_undelivered_notifications_go_out_after_a_restart(process, receiver):
    api = Simulator(process.url)
    connector = api.connector(body=manifest(receiver.url))
    api.control("PUT", "faults", [{"on": "webhook", "do": "hold"}])
    conversation = connector.open()
    for number in range(3):
        connector.text(conversation, f"t{number}")
    process.kill()
    assert receiver.got == []
    process.start()
    assert api.control("GET", "faults")["faults"][0]["do"] == "hold"
    api.control("DELETE", "faults")
    receiver.wait(4)
    changes = [json.loads(one["raw"])["body"]["changes"][0] for one in receiver.got]
    assert [one["event"]["message"] for one in changes[1:]] == ["t0", "t1", "t2"]


def test_a_used_up_fault_stays_used_up(process):
    api = Simulator(process.url)
    connector = api.connector()
    api.control("PUT", "faults", [{"on": "token", "do": "status", "status": 500, "times": 1}])
    assert connector.token().status_code == 500
    process.kill()
    process.start()
    assert connector.token().status_code == 200


def test_it_stops_quickly_while_pages_are_open_and_answers_are_slow(process, receiver):
    api = Simulator(process.url)
    connector = api.connector(body=manifest(receiver.url))
    stream = requests.get(f"{process.url}/changes", stream=True, timeout=5)
    next(stream.iter_lines())
    api.control("PUT", "faults", [{"on": "webhook", "do": "hold"}])
    connector.open()
    code, seconds = process.stop()
    assert code == 0
    assert seconds < 8  # what is held would take for ever


def test_tls_offers_the_same_service_under_its_own_authority(shared_process):
    url = f"https://127.0.0.1:{shared_process.tls_port}"
    ca = shared_process.data_dir / "tls" / "ca.pem"
    answer = requests.get(f"{url}/api/account/1/service/idp/baseURI.json", verify=str(ca))
    assert answer.json()["baseURI"] == f"127.0.0.1:{shared_process.tls_port}"


def test_keys_are_for_their_owner_alone(shared_process):
    for path in ("keys/sentinel.pem", "keys/secret.hex", "tls/server.pem", "state.jsonl", "requests.jsonl"):
        assert (shared_process.data_dir / path).stat().st_mode & 0o077 == 0


def start_another(*, port, data_dir):
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--tls-port", "0", "--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)


def test_a_taken_port_ends_with_a_sentence(shared_process, tmp_path):
    ended = start_another(port=shared_process.port, data_dir=tmp_path)
    assert ended.returncode == 1
    assert "Choose another port" in ended.stderr


def test_a_second_process_is_kept_off_the_same_data(shared_process):
    ended = start_another(port=0, data_dir=shared_process.data_dir)
    assert ended.returncode == 1
    assert "Choose another --data-dir" in ended.stderr
