"""The workers under supervision, against a database of their own: real processes, really killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from connector_site import environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres
from connector_site.worker import STOP_GRACE_S
from tests.postgres_faults import frozen
from tests.waiting import comes_about

MANAGE = [sys.executable, str(environment.BASE_DIR / "manage.py")]


class Workers:
    """One `manage.py worker` and its database."""

    def __init__(self, server: EmbeddedPostgres, log: Path) -> None:
        self.server = server
        self.log = log
        self.values = os.environ | {"DATABASE_URL": server.url, "DATA_DIR": str(server.data_dir)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*MANAGE, "worker"], env=self.values, stdout=log, stderr=log)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def query(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.server.url, connect_timeout=5, autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def has_beaten_since(self, moment: object) -> bool:
        return bool(self.query(f"SELECT 1 FROM connector_site_heartbeat WHERE beat_at > '{moment}'"))

    def now(self) -> object:
        return self.query("SELECT clock_timestamp()")[0][0]

    def ring(self) -> None:
        """Put a doorbell on the table, as a delivery does."""
        subprocess.run([*MANAGE, "shell", "-c", "from core.queue import ring; ring()"], env=self.values, check=True)

    def waits_for_nothing(self) -> bool:
        return not self.query("SELECT 1 FROM django_q_ormq")

    def main(self) -> psutil.Process:
        assert self.process is not None
        (cluster,) = psutil.Process(self.process.pid).children()
        return cluster

    def sentinel(self) -> psutil.Process:
        (sentinel,) = self.main().children()
        return sentinel

    def parts(self) -> list[psutil.Process]:
        """Two workers, the monitor and the pusher: django-q2 starts them in this order."""
        return sorted(self.sentinel().children(), key=lambda one: one.pid)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    one = EmbeddedPostgres(tmp_path_factory.mktemp("worker") / "data")
    one.start(tie_to_parent=True)
    try:
        values = os.environ | {"DATABASE_URL": one.url}
        subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], env=values, check=True)
        yield one
    finally:
        one.stop()
        postgres_home.remove(one.data_dir)


@pytest.fixture
def workers(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Workers]:
    one = Workers(server, tmp_path / "log")
    yield one
    one.kill()


@pytest.fixture
def beating(workers: Workers) -> Workers:
    """Workers that have shown their first sign of life."""
    moment = workers.now()
    workers.start()
    assert comes_about(lambda: workers.has_beaten_since(moment), 60), workers.log.read_text()
    return workers


def goes_on(workers: Workers, *, within_s: float) -> bool:
    """Whether the workers beat, and take a doorbell from the table, from now on."""
    moment = workers.now()
    workers.ring()
    return comes_about(lambda: workers.has_beaten_since(moment) and workers.waits_for_nothing(), within_s)


@pytest.mark.parametrize("part", [0, 1, 2, 3], ids=["first worker", "second worker", "monitor", "pusher"])
def test_work_goes_on_after_an_idle_part_was_killed(beating: Workers, part: int) -> None:
    old = beating.sentinel()
    beating.parts()[part].kill()
    assert comes_about(lambda: not is_running(old), 30)
    assert goes_on(beating, within_s=30)


@pytest.mark.parametrize("which", ["main", "sentinel"])
def test_no_orphan_works_on_after_the_head_was_killed(beating: Workers, which: str) -> None:
    old = [beating.main(), beating.sentinel(), *beating.parts()]
    getattr(beating, which)().kill()
    assert comes_about(lambda: not any(is_running(one) for one in old), 30)
    assert goes_on(beating, within_s=30)


def test_a_cluster_that_hangs_is_replaced(beating: Workers) -> None:
    old = beating.main()
    for part in beating.parts()[:2]:
        part.send_signal(signal.SIGSTOP)
    assert comes_about(lambda: not is_running(old), 60)
    assert b"no heartbeat for" in beating.log.read_bytes()
    assert goes_on(beating, within_s=30)


def test_stopping_ends_everything_at_once_when_nothing_is_under_way(beating: Workers) -> None:
    started = psutil.Process(beating.process.pid).children(recursive=True)  # type: ignore[union-attr]
    began_at = time.monotonic()
    assert beating.stop() == 0
    assert time.monotonic() - began_at < STOP_GRACE_S
    assert not any(is_running(one) for one in started)


def test_a_killed_supervisor_takes_its_cluster_with_it(beating: Workers) -> None:
    started = psutil.Process(beating.process.pid).children(recursive=True)  # type: ignore[union-attr]
    beating.kill()
    assert comes_about(lambda: not any(is_running(one) for one in started), 30)


def test_it_survives_a_database_that_goes_away_and_comes_back(beating: Workers) -> None:
    old = beating.main()
    beating.server.stop()
    time.sleep(3)
    beating.server.start(tie_to_parent=True)
    assert goes_on(beating, within_s=30)
    assert is_running(old)  # nothing was restarted for it


def test_it_survives_a_database_that_is_frozen_for_longer_than_a_heartbeat_may_take(beating: Workers) -> None:
    old = beating.main()
    with frozen(beating.server):
        time.sleep(18)
    assert goes_on(beating, within_s=30)
    time.sleep(3)
    assert is_running(old), beating.log.read_text()  # it was not to blame


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
