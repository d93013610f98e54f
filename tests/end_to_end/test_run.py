"""`manage.py run`: what `make run` becomes."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from connector_site import postgres_home
from tests.stack import STOP_WITHIN_S, Stack, free_ports, start
from tests.waiting import comes_about

DEMO_ACCOUNTS = ("90000001", "90000002")


@pytest.mark.parametrize("account", DEMO_ACCOUNTS)
def test_first_start_plays_a_conversation_on_each_demo_brand(stack: Stack, account: str) -> None:
    conversations = stack.simulator("GET", f"accounts/{account}/conversations")["conversations"]
    roles = [event["role"] for event in conversations[0]["events"] if event.get("text")]
    assert roles == ["CONSUMER", "ASSIGNED_AGENT"]
    phone = {"90000001": "demo-parcels", "90000002": "demo-air"}[account]
    posts = stack.simulator("GET", f"phones/{phone}/messages")["messages"]
    assert [post["verified"] for post in posts if post["type"] == "message.created"] == [True]


def test_it_is_ready_when_it_says_so(stack: Stack) -> None:
    assert stack.get("/readyz").status_code == 200


def test_metrics_are_open_in_local_mode_and_count_the_demo(stack: Stack) -> None:
    lines = stack.get("/metrics").text.splitlines()
    values = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    assert values["connector_site_database_up"] == 1
    assert values["connector_site_heartbeat_age_seconds"] < 15
    # PostgreSQL publishes its counters with a delay of up to a second or so.
    assert comes_about(lambda: "connector_site_messages_total 0.0" not in stack.get("/metrics").text)


def test_a_second_start_with_the_same_data_folder_is_refused_with_a_sentence(stack: Stack) -> None:
    second = stack.manage("run")
    assert second.returncode == 1
    assert "A site runs already with DATA_DIR=" in second.stderr
    assert stack.get("/readyz").status_code == 200


def test_commands_of_the_same_data_folder_know_the_port_of_the_running_site(stack: Stack) -> None:
    values = {name: value for name, value in stack.values.items() if name not in ("PORT", "SIMULATOR_PORT", "MODE")}
    printed = subprocess.run(
        [*stack.process.args[:-1], "shell", "-c", "from django.conf import settings; print(settings.PUBLIC_BASE_URL)"],
        env=values,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert stack.url in printed


def test_a_taken_port_is_named_with_its_variable(tmp_path: Path, stack: Stack) -> None:
    with pytest.raises(AssertionError, match=f"PORT: port {stack.values['PORT']} is taken"):
        start(tmp_path / "data", values={"PORT": stack.values["PORT"]})


def test_the_json_of_a_command_stands_alone_on_standard_output(stack: Stack, tmp_path: Path) -> None:
    made = stack.simulator("POST", "accounts/90000077/installs", {})
    secret = tmp_path / "secret"
    secret.write_text(made["client_secret"])
    arguments = ["--brand", "stdout", "--account", "90000077", "--client-id", made["client_id"], "--channel", "custom"]
    done = stack.manage(
        "onboard", *arguments, "--secret-file", str(secret), "--domain-api", stack.simulator_url,
        "--channel-url", f"{stack.simulator_url}/phones/none/inbox",
    )  # fmt: skip
    assert json.loads(done.stdout)["account"], done.stderr


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Made by whoever starts first: to set up a site takes longer than all that is done to it below."""
    data_dir = tmp_path_factory.mktemp("a folder with spaces") / "data"
    yield data_dir
    postgres_home.remove(data_dir)


class TestLife:
    """Start, damage, stop: on a site of their own, because it ends. What one leaves behind the next one starts with."""

    def test_it_stops_in_time_leaves_nothing_and_goes_on_with_the_same_data(self, data_dir: Path) -> None:
        with started(data_dir) as first:
            processes = descendants(first.process.pid)
            conversations = first.simulator("GET", f"accounts/{DEMO_ACCOUNTS[0]}/conversations")
            password = first.admin_password
            assert first.stop() < STOP_WITHIN_S
        assert first.process.returncode == 0
        assert [one for one in processes if psutil.pid_exists(one)] == []
        with started(data_dir, PORT=str(free_ports(1)[0])) as again:
            assert again.simulator("GET", f"accounts/{DEMO_ACCOUNTS[0]}/conversations") == conversations
            assert again.admin_password == password
            # Another port: the demo's webhooks follow.
            install = again.simulator("GET", f"accounts/{DEMO_ACCOUNTS[0]}")["installs"][0]
            assert again.url in json.dumps(install["manifest"])
            assert len(again.simulator("GET", f"accounts/{DEMO_ACCOUNTS[0]}")["installs"]) == 1

    def test_a_killed_part_is_started_again(self, data_dir: Path) -> None:
        with started(data_dir, SIMULATOR_PORT="0") as stack:
            for child in psutil.Process(stack.process.pid).children():
                child.kill()
            assert comes_about(lambda: answers(stack), 30)
            assert comes_about(lambda: b'"run.child_ended"' in stack.log.read_bytes())

    def test_a_killed_supervisor_takes_everything_with_it(self, data_dir: Path) -> None:
        with started(data_dir, SIMULATOR_PORT="0") as stack:
            processes = descendants(stack.process.pid)
            os.kill(stack.process.pid, signal.SIGKILL)
            stack.process.wait()
            # The workers finish what they do, and the database writes its checkpoint.
            assert comes_about(lambda: not [one for one in processes if is_running(one)], 15)


@contextmanager
def started(data_dir: Path, **values: str) -> Iterator[Stack]:
    """A site for the length of a block; its data stays."""
    stack = start(data_dir, values=values)
    try:
        yield stack
    finally:
        stack.stop()


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answers(stack: Stack) -> bool:
    try:
        return stack.get("/readyz").status_code == 200
    except OSError:
        return False
