"""
Schemathesis walks over the whole OpenAPI document: each operation, each parameter, with values good and bad, and from
the ids of one answer on to the next address. What the document says and what the site answers have to agree.

LONG=1 gives it minutes instead of seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from access.models import ApiKey, Role
from tests.access.keys import make_key
from tests.factories import make_two_brands, make_user
from tests.inputs import budget

SECONDS = 600 if budget.IS_LONG else 30


def test_what_the_document_says_and_what_the_site_answers_agree(served_site: str, tmp_path: Path) -> None:
    make_two_brands()
    key = make_key(make_user("all", role=Role.OPERATOR), may_operate=True)
    ApiKey.objects.update(may_read_content=True)
    walk = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{served_site}/api/v1/schema/?format=json",
            "--header", f"Authorization: Bearer {key}", "--checks", "all", "--max-time", str(SECONDS),
            "--continue-on-failure", "--no-shrink", "--seed", "7", "--warnings", "off", "--report-dir", str(tmp_path),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("walking.py"))},
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 3 + 60, check=False,
    )  # fmt: skip
    print(walk.stdout[-20_000:], walk.stderr[-5_000:])
    assert walk.returncode == 0
