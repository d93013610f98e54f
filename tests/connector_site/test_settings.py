"""A value that is missing or weak stops the start with a sentence that names it."""

import base64
import os
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from connector_site import environment

Load = Callable[..., dict[str, Any]]

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(32, 64))).decode()
LONG_SECRET = "k9Qz-7Lm2Vx_4Rt8Wn1Yb6Hd3Jf5Gs0Pc-uEiAoTqZwXyBvNmKlS"
GOOD = {
    "MODE": "production",
    "SECRET_KEY": LONG_SECRET,
    "ENCRYPTION_KEYS": KEY,
    "ALLOWED_HOSTS": "connectors.example.com",
    "PUBLIC_BASE_URL": "https://connectors.example.com",
    "DATABASE_URL": "postgresql://site:pw@db.example.com/site",
}


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Read the settings under other values; the process's own environment comes back afterwards."""
    kept = dict(os.environ)

    def read(**changes: str | None) -> dict[str, Any]:
        for name in environment.NAMES:
            os.environ.pop(name, None)
        values = GOOD | {"DATA_DIR": str(tmp_path / "data")} | changes
        os.environ |= {name: value for name, value in values.items() if value is not None}
        return runpy.run_path(str(environment.BASE_DIR / "connector_site" / "settings.py"))

    yield read
    os.environ.clear()
    os.environ |= kept


REFUSED = [
    ("MODE", "staging"),
    ("WEB_CONCURRENCY", "many"),
    ("WEB_CONCURRENCY", "0"),
    ("REDIS_URL", "cache.example.com:6379"),
    ("SECRET_KEY", None),
    ("SECRET_KEY", ""),
    ("SECRET_KEY", "short"),
    ("SECRET_KEY", LONG_SECRET[:49]),
    ("SECRET_KEY", "a" * 64),
    ("SECRET_KEY", "changeme" * 8),
    ("SECRET_KEY", "django-insecure-" + LONG_SECRET),
    ("ENCRYPTION_KEYS", None),
    ("ENCRYPTION_KEYS", " , "),
    ("ENCRYPTION_KEYS", "not base64!"),
    ("ENCRYPTION_KEYS", base64.b64encode(bytes(range(16))).decode()),
    ("ENCRYPTION_KEYS", base64.b64encode(bytes(32)).decode()),
    ("ENCRYPTION_KEYS", f"{KEY},{base64.b64encode(b'x').decode()}"),
    ("ENCRYPTION_KEYS", f"{KEY},{KEY}"),
    ("ALLOWED_HOSTS", None),
    ("ALLOWED_HOSTS", "*"),
    ("ALLOWED_HOSTS", "https://connectors.example.com"),
    ("PUBLIC_BASE_URL", None),
    ("PUBLIC_BASE_URL", "http://connectors.example.com"),
    ("PUBLIC_BASE_URL", "connectors.example.com"),
    ("PUBLIC_BASE_URL", "https://connectors.example.com/site"),
    ("PUBLIC_BASE_URL", "https://connectors.example.com?a=b"),
    ("PUBLIC_BASE_URL", "https://user:pw@connectors.example.com"),
    ("PUBLIC_BASE_URL", "https://connectors.example.com:port"),
    ("DATABASE_URL", None),
    ("DATABASE_URL", "sqlite:///db.sqlite3"),
    ("DATABASE_URL", "mysql://site:pw@db/site"),
    ("DATABASE_URL", "postgresql://site:pw@db.example.com/"),
    ("DATABASE_URL", "postgresql://site:pw@db.example.com/site?no_such_option=1"),
    ("PORT", "http"),
    ("PORT", "0"),
    ("PORT", "70000"),
    ("TRUSTED_PROXIES", "proxy.example.com"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("LIVEPERSON_DOMAIN_API", "http://api.liveperson.net"),
    ("LIVEPERSON_DOMAIN_API", "api.liveperson.net"),
    ("LIVEPERSON_DOMAIN_API", "https://api.liveperson.net/api"),
    ("LIVEPERSON_DOMAIN_API", "https://user:pw@api.liveperson.net"),
    ("LIVEPERSON_DOMAINS", ","),
    ("LIVEPERSON_DOMAINS", "net"),
    ("LIVEPERSON_DOMAINS", "*.liveperson.net"),
    ("LIVEPERSON_DOMAINS", "https://liveperson.net"),
    ("ALLOW_PRIVATE_OUTBOUND", "yes"),
    ("METRICS_TOKEN", "short"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=[f"{name}={value}" for name, value in REFUSED])
def test_production_refuses_and_names_the_variable(load: Load, name: str, value: str | None) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**{name: value})
    assert str(refusal.value).startswith(f"{name} ")
    assert str(refusal.value).endswith(".")


def test_everything_that_is_wrong_is_said_at_once(load: Load) -> None:
    wrong = {name: bad for name, bad in REFUSED if name not in ("MODE", "LIVEPERSON_DOMAIN_API")}
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**wrong)
    sentences = str(refusal.value).splitlines()
    assert sorted(sentence.partition(" ")[0] for sentence in sentences) == sorted(wrong)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_nothing_set_at_all_names_what_production_needs(load: Load) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**dict.fromkeys(GOOD))
    named = [sentence.partition(" ")[0] for sentence in str(refusal.value).splitlines()]
    assert named == ["SECRET_KEY", "ENCRYPTION_KEYS", "PUBLIC_BASE_URL", "ALLOWED_HOSTS", "DATABASE_URL"]


@pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "METRICS_TOKEN"])
def test_a_refusal_never_shows_the_secret(load: Load, name: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        load(**{name: "Tr0ub4dor&3"})
    assert "Tr0ub4dor" not in str(refusal.value)


def test_production_starts_with_every_needed_value(load: Load) -> None:
    settings = load()
    assert settings["DEBUG"] is False
    assert settings["ALLOW_PRIVATE_OUTBOUND"] is False
    assert settings["LIVEPERSON_DOMAIN_API"] == "https://api.liveperson.net"
    assert settings["LIVEPERSON_DOMAINS"] == ["liveperson.net"]
    assert settings["SECURE_SSL_REDIRECT"] is True
    assert settings["SESSION_COOKIE_SECURE"] is True


def test_mode_is_production_when_nothing_says_otherwise(load: Load) -> None:
    assert load(MODE=None)["MODE"] == "production"


def test_several_encryption_keys_keep_their_order(load: Load) -> None:
    assert load(ENCRYPTION_KEYS=f"{OTHER_KEY},{KEY}")["ENCRYPTION_KEYS"] == f"{OTHER_KEY},{KEY}"


def test_a_database_url_may_name_a_socket_folder_and_libpq_options(load: Load) -> None:
    url = "postgresql://site:p%40ss@%2Fvar%2Frun%2Fa%20b/site?sslmode=require"
    database = load(DATABASE_URL=url)["DATABASES"]["default"]
    assert (database["HOST"], database["USER"], database["PASSWORD"]) == ("/var/run/a b", "site", "p@ss")
    assert database["OPTIONS"]["sslmode"] == "require"


def test_connections_stay_open_and_a_silent_database_is_noticed(load: Load) -> None:
    database = load()["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] is None
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["OPTIONS"]["connect_timeout"] == 2
    assert "pool" not in database["OPTIONS"]  # django-q2 would share its sockets between processes


def test_local_mode_needs_nothing_but_a_database(load: Load) -> None:
    names = ("SECRET_KEY", "ENCRYPTION_KEYS", "ALLOWED_HOSTS", "PUBLIC_BASE_URL")
    settings = load(MODE="local", PORT="9000", **dict.fromkeys(names))
    assert settings["PUBLIC_BASE_URL"] == "http://127.0.0.1:9000"
    assert settings["ALLOW_PRIVATE_OUTBOUND"] is True
    assert settings["SECURE_SSL_REDIRECT"] is False
    assert "127.0.0.1" in settings["ALLOWED_HOSTS"]


def test_a_simulator_may_be_named_only_where_private_calls_are_allowed(load: Load) -> None:
    settings = load(LIVEPERSON_DOMAIN_API="http://127.0.0.1:8100", ALLOW_PRIVATE_OUTBOUND="1")
    assert settings["LIVEPERSON_DOMAIN_API"] == "http://127.0.0.1:8100"


def test_the_queue_cannot_run_a_task_again_while_it_may_still_wait_or_run(load: Load) -> None:
    queue = load()["Q_CLUSTER"]
    longest_s = queue["timeout"] * (2 + queue["queue_limit"] / queue["workers"])
    assert queue["retry"] > longest_s + 30
    assert queue["orm"] == "default"  # a doorbell commits with the row it points to
