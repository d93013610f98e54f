"""Odd values in the environment: the site loads with them, or says in a sentence which one is wrong; nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from connector_site import environment
from tests.connector_site.test_settings import Load, load

__all__ = ["load"]

ODD = [
    " ",
    "\t",
    "\n",
    "x",
    "0",
    "1",
    "-1",
    "+5",
    "1e3",
    "0x1F",
    "05",
    "5.0",
    "٣",
    "１２",
    "²",
    "True",
    "yes",
    "null",
    "None",
    ",",
    ",,",
    ";",
    "*",
    "**",
    "[",
    "]",
    "[::1",
    "%",
    "%zz",
    "%00",
    "?",
    "#",
    "=",
    "==",
    "'",
    '"',
    "''",
    "$HOME",
    "${x}",
    "`id`",
    "\\",
    "/",
    "//",
    "..",
    "../../etc/passwd",
    "http://",
    "https://",
    "https://[",
    "https://[::1]",
    "http://:80",
    "https://x:99999",
    "https://x:y",
    "https://x y",
    "https://user@x",
    "https://x\nX: 1",
    "ftp://x",
    "javascript:x",
    "postgresql://",
    "postgresql:///",
    "postgresql://[::1",
    "postgresql://x:y/z",
    "postgres://u:p@h:99999/d",
    "postgresql://h/d?sslmode=nonsense",
    "redis://",
    "redis://[",
    "redis://h:p",
    "127.0.0.1",
    "::1",
    "1.2.3.4/8",
    "300.1.1.1",
    "10.0.0.0/8,",
    "local",
    "production ",
    "xn--",
    "a..b",
    "-a.example",
    "é.example",
    "\u202e",
    "👋",
    "\udcff",
    "a" * 300,
    "9" * 300,
    "," * 10_000,
]
# MODE says what else is needed, and DATA_DIR is no value of this list.
NAMES = [name for name in environment.NAMES if name != "MODE"]


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_value_is_taken_or_named(load: Load, name: str) -> None:
    for value in ODD:
        try:
            settings: dict[str, Any] = load(**{name: value})
        except ImproperlyConfigured as refusal:
            sentence = str(refusal)
            assert sentence.startswith(name), (value, sentence)
            assert re.search(r"[.:)]$", sentence.strip()), (value, sentence)
            assert len(sentence) < 500
            is_secret = name in ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN")
            assert not (is_secret and len(value) > 20 and value in sentence), "shown"
        else:
            assert settings["MODE"] == "production"
            assert settings["DEBUG"] is False


@pytest.mark.parametrize("name", ["PORT", "SIMULATOR_PORT", "SIMULATOR_TLS_PORT", "ALLOW_PRIVATE_OUTBOUND"])
def test_a_number_of_thousands_of_digits_is_named(load: Load, name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name} "):
        load(**{name: "9" * 10_000})


@pytest.mark.parametrize("value", [*ODD, "PRODUCTION", "debug", "test,local"])
def test_an_odd_mode_is_named(load: Load, value: str) -> None:
    if not value.strip() or value.strip() in environment.MODES:
        assert load(MODE=value)["MODE"] in environment.MODES
        return
    with pytest.raises(ImproperlyConfigured, match=r"^MODE is "):
        load(MODE=value)
