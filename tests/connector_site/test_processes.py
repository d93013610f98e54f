import sys
import time

import psutil
import pytest

from connector_site.processes import Child, Spacing, describe, stop_all

IGNORES_TERM = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
)


def python(code: str) -> Child:
    return Child("child", [sys.executable, "-c", code])


def test_a_child_that_does_not_listen_is_killed_with_all_it_started() -> None:
    child = python(IGNORES_TERM)
    child.start()
    while not (grandchildren := psutil.Process(child.pid).children()):
        time.sleep(0.02)
    assert stop_all([child], grace_s=0.3) == [child]
    assert not child.is_running()
    for grandchild in grandchildren:
        grandchild.wait(30)


def test_a_child_that_listens_is_not_killed() -> None:
    child = python("import time; time.sleep(60)")
    child.start()
    assert stop_all([child], grace_s=30) == []
    assert child.exit_status() == -15


def test_children_that_never_started_are_stopped_already() -> None:
    assert stop_all([python("pass")], grace_s=0) == []


@pytest.mark.parametrize(
    ("ran_s", "pauses_s"),
    [
        (0.1, [0.0, 0.5, 1.0, 2.0, 5.0, 5.0]),  # a crash loop is spaced, and never given up
        (60.0, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),  # what ran well for a while comes back at once
    ],
)
def test_restarts_are_spaced_by_how_long_the_process_ran(ran_s: float, pauses_s: list[float]) -> None:
    spacing = Spacing()
    assert [spacing.pause_s(ran_s=ran_s) for _ in pauses_s] == pauses_s


@pytest.mark.parametrize(
    ("status", "text"), [(0, "exit status 0"), (-9, "killed by SIGKILL"), (-99, "exit status -99")]
)
def test_exit_statuses_in_words(status: int, text: str) -> None:
    assert describe(status) == text
