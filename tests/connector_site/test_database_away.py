"""The database stopped, frozen, or behind a path that swallows packets, under a real web server that takes webhooks."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from connector_site import environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres
from tests import postgres_faults
from tests.stack import free_ports
from tests.waiting import comes_about

MANAGE = [sys.executable, str(environment.BASE_DIR / "manage.py")]
SECRET = "5tgb6yhn7ujm8ik"
PER_SECOND = 40
REFUSED_WITHIN_S = 1.0
ANSWERED_WITHIN_S = 2.0


@dataclass(frozen=True)
class Told:
    """What came of one webhook. status: 0 when nothing came back in ten seconds."""

    sent_s: float
    status: int
    took_s: float


class Hole:
    """A TCP path to the server's socket that can swallow everything: nothing is answered, refused or closed."""

    def __init__(self, socket_path: str) -> None:
        self._target = socket_path
        self._is_open = threading.Event()
        self._is_open.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def swallowing(self) -> Iterator[None]:
        self._is_open.clear()
        try:
            yield
        finally:
            self._is_open.set()

    def close(self) -> None:
        self._is_open.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self._is_open.wait()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._target)
                except OSError:
                    caller.close()
                    continue
                for one, other in ((caller, server), (server, caller)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self._is_open.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Site:
    """A web server, its own PostgreSQL, and one connector."""

    def __init__(self, server: EmbeddedPostgres, folder: Path) -> None:
        self.server = server
        self.hole = Hole(str(server.home.socket_dir / ".s.PGSQL.5432"))
        self._port = free_ports(1)[0]
        self._log = folder / "web.log"
        user, database = "connector_site", "connector_site"
        self.values = os.environ | {
            "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{self.hole.port}/{database}?sslmode=disable",
            "DATA_DIR": str(server.data_dir),
            "PORT": str(self._port),
        }
        self._installation = ""
        self._web: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], env=self.values, check=True)
        made = subprocess.run(
            [*MANAGE, "onboard", "--brand", "acme", "--account", "12345678", "--client-id", str(uuid.uuid4())]
            + ["--secret-file", "-", "--channel", "custom", "--channel-url", "http://127.0.0.1:9/", "--no-test"],
            env=self.values,
            input=SECRET.encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        self._installation = json.loads(made.stdout)["installation"]
        with self._log.open("wb") as log:
            self._web = subprocess.Popen([*MANAGE, "web"], env=self.values, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while self.send().status != 200:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def stop(self) -> None:
        if self._web is not None:
            self._web.terminate()
            self._web.wait(60)
        self.hole.close()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def send(self) -> Told:
        body = json.dumps({"kind": "notification", "body": {"changes": []}, "n": str(uuid.uuid4())}).encode()
        digest = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha1).digest()).decode()
        began_s = time.monotonic()
        try:
            status = requests.post(
                f"{self.url}/webhooks/liveperson/{self._installation}/",
                data=body,
                headers={"X-Liveperson-Signature": f"sha1={digest}", "Content-Type": "application/json"},
                timeout=10,
            ).status_code
        except requests.RequestException:
            status = 0
        return Told(sent_s=began_s, status=status, took_s=time.monotonic() - began_s)

    def stored(self) -> int:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            (count,) = connection.execute("SELECT count(*) FROM webhooks_delivery").fetchone() or (0,)
        return int(count)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("away")
    server = EmbeddedPostgres(folder / "data")
    server.start(tie_to_parent=True)
    one = Site(server, folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        server.stop()
        postgres_home.remove(server.data_dir)


def stopped(site: Site) -> contextlib.AbstractContextManager[None]:
    return postgres_faults.stopped(site.server)


def frozen(site: Site) -> contextlib.AbstractContextManager[None]:
    return postgres_faults.frozen(site.server)


def swallowed(site: Site) -> contextlib.AbstractContextManager[None]:
    return site.hole.swallowing()


Fault = Callable[[Site], contextlib.AbstractContextManager[None]]


def under_load(site: Site, fault: Fault, *, lasts_s: float) -> tuple[list[Told], list[Told], list[Told]]:
    """Webhooks at a steady pace: what came of those sent before the fault, while it lasted, and afterwards."""
    told: list[Any] = []
    with ThreadPoolExecutor(max_workers=100) as pool:
        is_over = threading.Event()

        def pace() -> None:
            next_s = time.monotonic()
            while not is_over.is_set():
                told.append(pool.submit(site.send))
                next_s += 1 / PER_SECOND
                time.sleep(max(0.0, next_s - time.monotonic()))

        sender = threading.Thread(target=pace)
        sender.start()
        time.sleep(1.5)
        began_s = time.monotonic()
        with fault(site):
            time.sleep(lasts_s)
        ended_s = time.monotonic()
        time.sleep(3)
        is_over.set()
        sender.join()
    results = [one.result() for one in told]
    return (
        [one for one in results if one.sent_s + one.took_s < began_s],
        [one for one in results if began_s <= one.sent_s < ended_s],
        [one for one in results if one.sent_s >= ended_s],
    )


def usual(found: Iterable[float]) -> float:
    """The middle one: a machine that sleeps for a second makes some of them late, never most."""
    return statistics.median_low(found)


@pytest.mark.parametrize("fault", [stopped, frozen, swallowed])
def test_what_cannot_be_stored_is_refused_within_a_second_and_nothing_waits_longer_than_two(
    site: Site, fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    stored_before = site.stored()
    before, during, after = under_load(site, fault, lasts_s=6)
    slowest = {name: max(one.took_s for one in told) for name, told in (("during", during), ("after", after))}
    record_property("slowest_s", slowest)
    print(f"{fault.__name__}: {len(during)} sent, slowest {slowest}")
    told = [*before, *during, *after]
    assert {one.status for one in told} <= {200, 503}  # and none without an answer in ten seconds
    assert usual(one.status for one in before) == 200
    refused = [one.took_s for one in [*during, *after] if one.status == 503]
    assert len(refused) > 0.9 * len(during)
    assert usual(refused) < REFUSED_WITHIN_S
    assert usual(one.took_s for one in [*during, *after]) < ANSWERED_WITHIN_S
    assert usual(one.status for one in after[-PER_SECOND:]) == 200  # two seconds later all is well
    assert site.stored() - stored_before >= sum(one.status == 200 for one in told)
    assert "Traceback" not in site.log


@pytest.mark.parametrize("path", ["/admin/", "/api/v1/conversations/"])
def test_a_page_answers_503_instead_of_waiting_for_a_silent_database(site: Site, path: str) -> None:
    known = {"Cookie": f"connector_site_session={'x' * 32}", "Authorization": f"Bearer consite_{'0' * 60}"}
    took_s = []
    with frozen(site):
        for _ in range(20):
            began_s = time.monotonic()
            answer = requests.get(site.url + path, headers=known, timeout=10)
            took_s.append(time.monotonic() - began_s)
            assert answer.status_code == 503
            assert "cannot reach its database" in answer.text
            assert requests.get(f"{site.url}/readyz", timeout=10).json()["missing"] == ["database"]
            assert requests.get(f"{site.url}/healthz", timeout=10).status_code == 200
    assert usual(took_s) < ANSWERED_WITHIN_S
    assert comes_about(lambda: requests.get(site.url + path, headers=known, timeout=10).status_code != 503)


def test_a_lock_is_not_taken_for_silence(site: Site) -> None:
    assert comes_about(lambda: site.send().status == 200)
    told_before = site.log.count("database.silent")
    with psycopg.connect(site.server.url) as other:
        other.execute("LOCK TABLE webhooks_delivery IN ACCESS EXCLUSIVE MODE")
        told = [site.send() for _ in range(4)]
        other.rollback()
    assert {one.status for one in told} == {503}
    assert usual(one.took_s for one in told) < REFUSED_WITHIN_S
    assert comes_about(lambda: site.send().status == 200)
    assert site.log.count("database.silent") == told_before
