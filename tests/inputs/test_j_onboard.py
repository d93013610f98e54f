"""Bad input, class J: values of the onboard command. Each is refused with a sentence, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from access.models import Brand
from audit.models import AuditEntry
from tests.installations.test_onboard import run, secret_file

__all__ = ["secret_file"]

URLS = [
    "https://[::1",
    "https://[",
    "https://x:99999",
    "https://x:y",
    "https://x:-1",
    "https://:443",
    "https://x y",
    "https://x\n",
    "https://x\x00",
    "https:///x",
    "//x.example",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://u:p@x.example",
    "x",
    "https://" + "a" * 5_000 + ".example",
    "https://x.example#y",
    "ftp://x.example",
    "\u202e",
    "https://\ud800.example",
]
VALUES: dict[str, list[Any]] = {
    "domain_api": [*URLS, "https://api.liveperson.net?x=y", "https://api.liveperson.net/x"],
    "channel_url": [one for one in URLS if "#" not in one],
    "brand": ["", " ", "A", "a b", "a/b", "a\n", "\x00", "ü", "a" * 51, "-", "../x", "\ud800"],
    "account": ["", " ", "x", "-1", "1.0", "٣", "1" * 21, "1\n", "\x00", "1 2"],
    "client_id": ["", " ", "x", "x" * 65, "ü" * 36, "a" * 8 + "\n", "\x00" * 36, "../../../../etc"],
    "name": ["n" * 129, "a\nb", "\x00", "\ud800"],
    "channel_name": ["n" * 65, "a\nb", "\x00", "\ud800"],
    "channel": ["", "x", "sms ", "\x00"],
}
ROWS = [(option, value) for option, values in VALUES.items() for value in values]


def _row(option: str, value: str) -> Any:
    return pytest.param(option, value, id=f"{option}={value[:40]!r}")


@pytest.mark.parametrize(("option", "value"), [_row(option, value) for option, value in ROWS])
def test_a_bad_value_is_refused_with_a_sentence_and_nothing_is_left(
    db: None, secret_file: Path, option: str, value: str
) -> None:
    try:
        run(secret_file, **{option: value})
    except CommandError as refusal:
        assert str(refusal).endswith((".", ")")), str(refusal)
        assert len(str(refusal)) < 1_000
    else:
        pytest.fail("It was taken.")
    assert not Brand.objects.exists()
    assert not AuditEntry.objects.exists()
