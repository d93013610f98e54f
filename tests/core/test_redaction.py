"""What is kept of an answer shows no token and no secret."""

from __future__ import annotations

import json

import pytest

from core.redaction import ANSWER_HEAD_CHARS, answer_head, redact

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjYW5hcnkifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        JWT,
        f"Authorization: Bearer {JWT}",
        "Authorization: Bearer canary",
        "authorization: Basic canary==",
        "Authorization=canary",
        '{"access_token": "canary"}',
        '{"access_token":"canary","token_type":"bearer"}',
        "{'client_secret': 'canary'}",
        "client_secret=canary&grant_type=client_credentials",
        "password: canary",
        "whsec_canarycanarycanary=",
        "https://swift/v1/x?temp_url_sig=canary&temp_url_expires=1",
        "x-liveperson-signature: sha1=canary",
        "X-LP-ON-BEHALF: canary",
        '{"api_key": "canary"}',
        "ApiKey=canary",
        'token = "can\\"ary canary"',
        json.dumps({"error": json.dumps({"access_token": "canary"})}),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    masked = redact(text)

    assert "canary" not in masked
    assert "eyJ" not in masked
    assert "•••" in masked


@pytest.mark.parametrize(
    "text",
    [
        "Bad Request, Conversation is close",
        '{"code": "BAD_REQUEST", "body": {"msg": "Bad Request"}, "reqId": "1"}',
        "The token has expired.",
        "A secret is missing.",
        "line one\nline two",
        "Grüße 👋🏽",
    ],
)
def test_what_is_none_stays_readable(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x07", "\u202e", "\r", "\x9b"])
def test_what_would_move_a_readers_eye_is_made_visible(character: str) -> None:
    assert redact(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_the_head_of_an_answer_is_short_whatever_the_answer_is() -> None:
    assert len(answer_head(b"x" * 10_000_000)) == ANSWER_HEAD_CHARS
    assert len(answer_head("👋".encode() * 10_000)) <= ANSWER_HEAD_CHARS


def test_bytes_that_are_no_text_can_be_kept() -> None:
    head = answer_head(bytes(range(256)))

    assert "\x00" not in head
    head.encode("utf-8")


def test_a_token_that_begins_before_the_end_of_the_head_is_masked_as_a_whole() -> None:
    text = "x" * (ANSWER_HEAD_CHARS - 10) + '{"token": "' + "canary" * 50 + '"}'

    assert "canary" not in answer_head(text.encode())
