"""A revoked key is refused by every web process at its next request: none remembers what a key may do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests
from django.db import connection
from knox.models import AuthToken
from psycopg.conninfo import conninfo_to_dict

from access.models import ApiKey
from connector_site import api_keys
from connector_site.environment import BASE_DIR
from core.actor import COMMAND
from tests.access.keys import make_key
from tests.conversations.database import empty
from tests.factories import make_superuser
from tests.stack import free_ports

PROCESSES = 2
REFUSED_WITHIN_S = 5.0


def url_of_test_database() -> str:
    parts = conninfo_to_dict(os.environ["DATABASE_URL"]) | {"dbname": connection.settings_dict["NAME"]}
    name = quote(str(parts.pop("dbname")))
    return f"postgresql:///{name}?{urlencode({key: str(value) for key, value in parts.items()})}"


@pytest.fixture
def sites(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[str]]:
    """The addresses of web servers of one process each, on one database."""
    ports = free_ports(PROCESSES)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:connector_site.gunicorn_settings", "connector_site.wsgi"]
    with django_db_blocker.unblock():
        values = os.environ | {"DATABASE_URL": url_of_test_database(), "WEB_CONCURRENCY": "1"}
        processes = [
            subprocess.Popen(command, env={**values, "PORT": str(port)}, cwd=BASE_DIR, stderr=subprocess.DEVNULL)
            for port in ports
        ]
        try:
            yield [f"http://127.0.0.1:{port}" for port in ports]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(60)
            AuthToken.objects.all().delete()
            empty()


def wait_until_ready(site: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            assert requests.get(f"{site}/healthz", timeout=10).status_code == 200
            return
        time.sleep(0.1)
    raise AssertionError(f"{site} does not answer.")


def test_a_revoked_key_is_refused_by_every_process_at_once(sites: list[str]) -> None:
    for site in sites:
        wait_until_ready(site)
    secret = make_key(make_superuser())
    sessions = [requests.Session() for _ in sites]

    def statuses() -> list[int]:
        headers = {"Authorization": f"Bearer {secret}"}
        return [
            session.get(f"{site}/api/v1/brands/", headers=headers, timeout=10).status_code
            for session, site in zip(sessions, sites, strict=True)
        ]

    assert [statuses() for _ in range(3)] == [[200, 200]] * 3
    assert 1 <= ApiKey.objects.get().window_count <= 6  # of both; a minute may have begun in between
    api_keys.revoke(ApiKey.objects.get(), actor=COMMAND)
    revoked_at = time.monotonic()
    assert statuses() == [401, 401]
    assert time.monotonic() - revoked_at < REFUSED_WITHIN_S
