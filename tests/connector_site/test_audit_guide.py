"""Every line of docs/audit.md is run: against a served site with the rows that the guide speaks of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from access.models import ApiKey
from tests.access.keys import make_key
from tests.connector_site.story import LAST_NIGHT, tell_story

GUIDE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
OPENING, *SHELL = [text for language, text in BLOCKS if language == "sh"]
(PYTHON,) = [text for language, text in BLOCKS if language == "python"]
LINES = [line for text in SHELL for line in text.splitlines()]
# The same answer twice, and what an empty site would answer, would show nothing.
_TOLD = ("results", "found", "messages", "steps")


def environment(served_site: str) -> dict[str, str]:
    key = make_key(tell_story())
    ApiKey.objects.update(may_read_content=True)
    return {**os.environ, "GUIDE_KEY": key, "KEY": key, "SITE": served_site, "SINCE": LAST_NIGHT.isoformat()}


def run_line(line: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line in a shell that has been opened as the guide says."""
    site = environment["SITE"]
    opening = OPENING.replace("https://connectors.example.com", site) + "\n".join(
        one for one in LINES if re.match(r"[A-Z]+=", one)
    )
    return subprocess.run(
        ["bash", "-euc", f"{opening}\n{line}"],
        input=environment["GUIDE_KEY"] + "\n", env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_question_is_answered(served_site: str) -> None:
    around = environment(served_site)
    answers: list[str] = []
    for line in (one for one in LINES if one.startswith("ask ")):
        done = run_line(line, around)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "as=csv" in line:
            assert len(done.stdout.splitlines()) > 1, line
        else:
            assert_tells_something(line, json.loads(done.stdout))
        answers.append(done.stdout)
    assert len(answers) > 15
    assert len(set(answers)) == len(answers)


def assert_tells_something(line: str, told: dict[str, Any]) -> None:
    for name in set(_TOLD) & set(told):
        assert told[name], line
    assert set(told) & {*_TOLD, "id"}, line


def test_no_line_of_the_guide_is_passed_over() -> None:
    for line in LINES:
        assert re.match(r"ask \"\$SITE/api/v1/|[A-Z]+='", line), line


def test_the_program_tells_what_is_not_well(served_site: str) -> None:
    done = subprocess.run(
        [sys.executable, "-"],
        input=PYTHON, env=environment(served_site), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("/trace/") == 4
    for code in ("request_rejected", "not_sent", "refused", "unanswered"):
        assert code in done.stdout


def test_the_program_tells_the_sentence_of_an_error(served_site: str) -> None:
    around = {**environment(served_site), "KEY": "consite_nothing_of_the_kind"}
    done = subprocess.run(
        [sys.executable, "-"], input=PYTHON, env=around, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "This API key is not valid" in done.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\(([\w.-]+\.md)(?:#[\w-]+)?\)", GUIDE))
def test_the_guide_links_to_pages_that_are_there(link: str) -> None:
    assert (Path(__file__).parents[2] / "docs" / link).is_file()
