"""
Bad input, classes B to E: signatures, bytes and sizes, the structure of JSON, Unicode. In the process, applied by the
workers' own loop.

More bodies stand in tests/fixtures/hostile.py: tests/webhooks/test_applying_guard.py posts all of them at LivePerson's
door; here those that no reader of JSON can use are rows at a channel's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

import pytest

from conversations.models import Message
from core.actor import COMMAND
from installations import services as installations
from installations.models import AppInstallation, SignaturePolicy, State
from tests.conversations.notifications import notification, said, sign
from tests.conversations.stand import Door, forget_caches, known_conversation
from tests.fixtures import hostile
from tests.inputs.rows import (
    GOOD_CONVERSATION,
    PROCESSED,
    QUARANTINED,
    Posted,
    check,
    each,
    post_to_channel,
    post_to_liveperson,
)
from tests.webhooks.work import apply_all

BODY = notification(said("c-1", 1, "Grüße 👋🏽"))
TALK = "c-1"


@pytest.fixture
def site(door: Door) -> Door:
    known_conversation(door, lp_id=TALK)
    known_conversation(door, lp_id=GOOD_CONVERSATION, consumer="good")
    return door


# --- B: signatures ---------------------------------------------------------------------------------------------------


def _mac(body: bytes, secret: str, algorithm: str = "sha1") -> bytes:
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).digest()


def _signed(name: str, answer: int, make: Any, *, body: bytes = BODY, prepare: Any = None) -> tuple[Posted, Any]:
    became = "" if answer != 200 else QUARANTINED if not body else PROCESSED
    return Posted(name=name, body=body, answer=answer, became=became, prepare=prepare), make


def _b64(door: Door, body: bytes = BODY, algorithm: str = "sha1") -> str:
    return b64encode(_mac(body, door.client_secret, algorithm)).decode()


def _hex(door: Door, algorithm: str = "sha1") -> str:
    return _mac(BODY, door.client_secret, algorithm).hex()


def _only_sha256(door: Door) -> None:
    AppInstallation.objects.update(signature_policy=SignaturePolicy.SHA256)


def _disable(door: Door) -> None:
    AppInstallation.objects.update(state=State.DISABLED)


def _retire(door: Door) -> None:
    first = door.installation.secrets.get()
    installations.add_client_secret(door.installation, secret="the-next", actor=COMMAND)
    installations.retire_client_secret(first, actor=COMMAND)
    door.old_secret, door.client_secret = door.client_secret, "the-next"  # type: ignore[attr-defined]


def _empty_secret(door: Door) -> None:
    secret = door.installation.secrets.get()
    secret.keep(b"")
    secret.save()
    installations.add_client_secret(door.installation, secret="the-next", actor=COMMAND)
    door.client_secret = "the-next"


LOSSY = BODY.decode().encode("ascii", "replace")
SIGNATURES = [
    _signed("sha1 in Base64", 200, lambda door: "sha1=" + _b64(door)),
    _signed("sha1 in hex", 200, lambda door: "sha1=" + _hex(door)),
    _signed("sha1 in upper-case hex", 200, lambda door: "sha1=" + _hex(door).upper()),
    _signed("sha256 in Base64", 200, lambda door: "sha256=" + _b64(door, algorithm="sha256")),
    _signed("sha256 in hex", 200, lambda door: "sha256=" + _hex(door, "sha256")),
    _signed("sha1 where only sha256 is allowed", 401, lambda door: "sha1=" + _b64(door), prepare=_only_sha256),
    _signed("sha256 where only that is allowed", 200, lambda door: "sha256=" + _hex(door, "sha256"),
            prepare=_only_sha256),
    _signed("sha256 under the name of sha1", 401, lambda door: "sha1=" + _hex(door, "sha256")),
    _signed("sha1 under the name of sha256", 401, lambda door: "sha256=" + _hex(door)),
    _signed("SHA1 in capitals", 401, lambda door: "SHA1=" + _b64(door)),
    _signed("md5", 401, lambda door: "md5=" + _hex(door, "md5")),
    _signed("sha512", 401, lambda door: "sha512=" + _hex(door, "sha512")),
    _signed("no algorithm", 401, _b64),
    _signed("nothing before the sign", 401, lambda door: "=" + _b64(door)),
    _signed("nothing behind the sign", 401, lambda door: "sha1="),
    _signed("another sign", 401, lambda door: "sha1:" + _b64(door)),
    _signed("Base64 without padding", 401, lambda door: "sha1=" + _b64(door).rstrip("=")),
    _signed("Base64 with more padding", 401, lambda door: "sha1=" + _b64(door) + "="),
    _signed("Base64 for addresses", 401, lambda door: "sha1=" + b64encode(
        b"\xff\xfe" + _mac(BODY, door.client_secret)[2:]).decode().replace("/", "_")),
    _signed("Base64 with a blank inside", 401, lambda door: "sha1=" + _b64(door)[:9] + " " + _b64(door)[9:]),
    _signed("Base64 with a tab inside", 401, lambda door: "sha1=" + _b64(door)[:9] + "\t" + _b64(door)[9:]),
    _signed("Base64 of the hex", 401, lambda door: "sha1=" + b64encode(_hex(door).encode()).decode()),
    _signed("in quotes", 401, lambda door: f'sha1="{_b64(door)}"'),
    _signed("garbage behind", 401, lambda door: "sha1=" + _b64(door) + "A"),
    _signed("half of it", 401, lambda door: "sha1=" + _hex(door)[:20]),
    _signed("its first eight bytes", 401, lambda door: "sha1=" + _hex(door)[:16]),
    _signed("two in one header, the first good", 401, lambda door: f"sha1={_b64(door)},sha1=AAAA"),
    _signed("two in one header, the second good", 401, lambda door: f"sha1=AAAA,sha1={_b64(door)}"),
    _signed("of the body that lost its letters", 401, lambda door: "sha1=" + _b64(door, LOSSY)),
    _signed("of the body with a line break", 401, lambda door: "sha1=" + _b64(door, BODY + b"\n")),
    _signed("of the body written anew", 401, lambda door: "sha1=" + _b64(door, json.dumps(json.loads(BODY)).encode())),
    _signed("of no body, with a body", 401, lambda door: "sha1=" + _b64(door, b"")),
    _signed("of no body, without one", 200, lambda door: "sha1=" + _b64(door, b""), body=b""),
    _signed("by an empty key", 401, lambda door: sign(BODY, "")),
    _signed("by an empty key that is in the database", 401, lambda door: sign(BODY, ""), prepare=_empty_secret),
    _signed("by zero bytes", 401, lambda door: sign(BODY, "\x00" * 64)),
    _signed("by the client id", 401, lambda door: sign(BODY, door.onboarded.installation.client_id)),
    _signed("by the account", 401, lambda door: sign(BODY, "12345678")),
    _signed("by the channel's secret", 401, lambda door: sign(BODY, door.channel_secret)),
    _signed("by the secret with a blank", 401, lambda door: sign(BODY, door.client_secret + " ")),
    _signed("by a retired secret", 401, lambda door: sign(BODY, door.old_secret), prepare=_retire),
    _signed("by the secret after it", 200, lambda door: sign(BODY, door.client_secret), prepare=_retire),
    _signed("for a disabled installation", 401, lambda door: sign(BODY, door.client_secret), prepare=_disable),
    _signed("of 4000 characters", 401, lambda door: "sha1=" + "A" * 4000),
    _signed("beyond Latin-1", 401, lambda door: "sha1=" + _b64(door)[:-1] + "\u0130"),
    _signed("of bytes beyond ASCII", 401, lambda door: "sha1=\xfc\xdf\xff"),
    _signed("with NUL", 401, lambda door: "sha1=" + _b64(door) + "\x00"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "make"), SIGNATURES, ids=[row.name for row, _ in SIGNATURES])
def test_signatures(site: Door, row: Posted, make: Any) -> None:
    if row.prepare:
        row.prepare(site)
        forget_caches()
    signature = make(site)
    answer = post_to_liveperson(site, Posted(name=row.name, body=row.body, answer=row.answer,
                                             headers={"x-liveperson-signature": signature}))  # fmt: skip

    check(site, row, answer)
    if row.answer == 401:
        assert answer.json()["detail"] == "The request is not authentic.", "one answer for every reason"


# --- C and D: bytes, sizes, the structure of JSON ---------------------------------------------------------------------

LIMIT = 256 * 1024
_GOOD = notification(said(TALK, 3, "Hello"))


def _sized(size: int) -> bytes:
    """A good notification of exactly that many bytes."""
    return notification(said(TALK, 3, "x" * (size - len(notification(said(TALK, 3, ""))))))


def _unused(name: str, body: bytes, says: str = "") -> Posted:
    return Posted(name=name, body=body, answer=200, became=QUARANTINED, outcomes=(), says=says)


def _used(name: str, body: bytes, *outcomes: str, **more: Any) -> Posted:
    return Posted(name=name, body=body, answer=200, became=PROCESSED, outcomes=outcomes or None, **more)


def _extra(literal: bytes) -> bytes:
    """A good notification with a member that holds these bytes."""
    return _GOOD[:-1] + b',"extra":' + literal + b"}"


BYTES = [
    _used("256 KiB", _sized(LIMIT), "APPLIED"),
    Posted(name="256 KiB and a byte", body=_sized(LIMIT + 1), answer=413, says="larger"),
    Posted(name="2 MB", body=b"x" * (2 << 20), answer=413),
    *(
        Posted(name=f"Content-Encoding {coding}", body=BODY, answer=415, headers={"content-encoding": coding})
        for coding in ("gzip", "GZIP", "br", "zstd", "deflate", "compress", "gzip, gzip", "aws-chunked", "utf-8")
    ),
    _used("Content-Encoding identity", BODY, headers={"content-encoding": "identity"}),
    *(
        _used(f"Content-Type {type or 'empty'}", _GOOD, "APPLIED", headers={"content-type": type})
        for type in ("", "text/plain", "a/b; charset=utf-16", "multipart/form-data; boundary=x", "nonsense", "\xff",
                     "application/x-www-form-urlencoded", "application/json; charset=nothing", "x" * 2000)
    ),
    _unused("a form of 30 000 fields", b"&".join(b"%d=1" % n for n in range(30_000))),
    _used("line breaks behind", _GOOD + b"\r\n\r\n", "APPLIED"),
    _used("blanks of 200 KB before", b" " * 200_000 + _GOOD, "APPLIED"),
    _used("a byte order mark", b"\xef\xbb\xbf" + _GOOD, "APPLIED"),
    _unused("a blank before the byte order mark", b" \xef\xbb\xbf" + _GOOD),
    _unused("UTF-7", b"+AHsAIg"),
    _unused("one byte", b"\x00"),
    _unused("a byte beyond UTF-8", b"\xf4\x90\x80\x80"),
]  # fmt: skip

STRUCTURE = [
    *(
        _unused(f"extra member {name}", _extra(literal))
        for name, literal in {
            "with a comma at the end": b"[1,]", "with a comment": b"1 /* x */", "in single quotes": b"'x'",
            "without quotes": b"x", "with a leading zero": b"01", "with a leading plus": b"+1", "in hex": b"0x1F",
            "with a bare point": b"1.", "beginning with a point": b".5", "with a half escape": b'"\\u12"',
            "with an unknown escape": b'"\\x41"', "with a line break": b'"a\nb"', "with a control": b'"a\x01b"',
            "of nothing": b"", "of -Infinity": b"-Infinity", "of -NaN": b"-NaN", "of True": b"True",
            "of None": b"None", "of undefined": b"undefined", "with a key twice inside": b'{"a":{"b":1,"b":2}}',
            "with an empty key twice": b'{"":1,"":2}', "with keys that are one once read": b'{"a":1,"\\u0061":1}',
            "nested 99 deeper": b"[" * 99 + b"]" * 99 + b"]", "nested 100 deeper": b"[" * 100 + b"]" * 100,
            "of 1e309": b"1e309", "of -1e309": b"-1e309", "of 4301 digits": b"7" * 4301,
        }.items()
    ),
    *(
        _used(f"extra member {name}", _extra(literal), "APPLIED")
        for name, literal in {
            "nested 98 deeper": b"[" * 98 + b"]" * 98, "of -0": b"-0", "of 1e308": b"1e308", "of 1e-999": b"1e-999",
            "of 4000 digits": b"7" * 4000, "with an empty key": b'{"":1}', "of __proto__": b'{"__proto__":{"x":1}}',
            "of a class": b'{"__class__":"x","constructor":{"prototype":{}}}', "of NUL": b'"\\u0000"',
            "of half a pair": b'"\\ud800"', "of 90 000 numbers": b"[" + b"1," * 90_000 + b"1]",
            "of a key of 200 KB": b'{"' + b"k" * 200_000 + b'":1}', "of 20 000 keys": b"{%b}" % b",".join(
                b'"%d":0' % n for n in range(20_000)),
        }.items()
    ),
]  # fmt: skip


@each(BYTES)
def test_bytes_and_sizes(site: Door, row: Posted) -> None:
    check(site, row, post_to_liveperson(site, row))


@each(STRUCTURE)
def test_structure(site: Door, row: Posted) -> None:
    check(site, row, post_to_liveperson(site, row))


# --- the same at a channel's door -------------------------------------------------------------------------------------


def _event(text: str = "Hello", **members: Any) -> bytes:
    data = {"id": "m-1", "consumer": {"id": "ada"}, "text": text, **members}
    return json.dumps({"type": "message.received", "data": data}).encode()


def _refused(name: str, body: bytes) -> Posted:
    is_text = _is_utf8(body)
    return Posted(name=name, body=body, answer=400 if is_text else 401, became=QUARANTINED if is_text else "")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


CHANNEL_BODIES = [
    *(_refused(f"hostile: {name}", body) for name, body in hostile.UNUSABLE.items() if "cesu8" not in name),
    _refused("an empty object", b"{}"),
    _refused("a list", b"[" + _event() + b"]"),
    _refused("a notification of LivePerson", _GOOD.replace(b'"type":"ms.', b'"type":5,"x":"')),
    Posted(name="256 KiB and a byte", body=_event("x" * LIMIT), answer=413),
    Posted(name="gzip", body=_event(), answer=415, headers={"content-encoding": "gzip"}),
    _used("text of 250 KB", _event("x" * 250_000), "APPLIED"),
    _used("a byte order mark", b"\xef\xbb\xbf" + _event(), "APPLIED"),
    _used("deep in the profile", _event(consumer={"id": "ada", "profile": {"a": [[[[{"b": [None]}]]]]}}), "APPLIED"),
]


@each(CHANNEL_BODIES)
def test_bodies_of_a_channel(site: Door, row: Posted) -> None:
    check(site, row, post_to_channel(site, row))


# --- E: Unicode -------------------------------------------------------------------------------------------------------

# What is sent -> what is kept. Where nothing is said it is the same.
TEXTS: dict[str, tuple[str, str | None]] = {
    "NUL": ("a\x00b", "a\u2400b"),
    "half a pair": ("a\ud800b", "a\ufffdb"),
    "the other half": ("\udc00", "\ufffd"),
    "halves the wrong way round": ("\udc00\ud800", "\ufffd\ufffd"),
    "controls": ("\x01\x07\x1b[31m\x7f\x85", None),
    "turned around": ("abc\u202egpj.exe\u2066x", None),
    "500 marks on one letter": ("a" + "\u0301" * 500, None),
    "an emoji of seven": ("👩‍👩‍👧‍👦", None),
    "a flag": ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),
    "line separators": ("a\u2028b\u2029c", None),
    "no width": ("a\u200bb\u200dc\ufeffd", None),
    "not a character": ("\ufffe\uffff\U0010ffff", None),
    "private": ("\ue000\U000f0000", None),
    "not normalised": ("\u0041\u030a \u212b \u00c5", None),
    "look-alikes": ("\u0430\u0440\u0440l\u0435", None),
    "full width": ("ＡＢＣ１２３", None),
    "markup": ("</script><script>alert(1)</script><img src=x onerror=alert(1)>", None),
    "a template": ("{{7*7}} ${7*7} {% debug %} %s %n", None),
    "SQL": ("'; DROP TABLE conversations_message; --", None),
    "a formula": ("=cmd|' /C calc'!A0", None),
    "JSON in it": ('{"type":"ContentEvent"}', None),
    "line breaks": ("a\r\nb\nc\rd", None),
}


def test_words_of_agents_and_consumers_are_kept_as_they_are(site: Door) -> None:
    """One after the other into one conversation, both ways; afterwards the operator's page shows them harmlessly."""
    for number, (text, _) in enumerate(TEXTS.values()):
        say = said(TALK, number, "")
        say["event"]["message"] = text
        assert site.notify_raw(hostile.notification(say)).status_code == 200
        written = Posted(name="", body=_event(text, id=f"m-{number}", consumer={"id": "+15550100"}), answer=200)
        assert post_to_channel(site, written).status_code == 200
    apply_all()

    for number, (name, (text, kept)) in enumerate(TEXTS.items()):
        expected = text if kept is None else kept
        from_consumer = Message.objects.get(channel_message_id=f"m-{number}")
        from_agent = Message.objects.get(lp_sequence=number, direction="TO_CHANNEL")
        assert from_consumer.content.text == expected, name
        assert from_agent.content.text == expected.rstrip(), name
    _assert_shown_harmlessly(site)


def _assert_shown_harmlessly(site: Door) -> None:
    from django.test import Client
    from django.urls import reverse

    from conversations.models import Conversation
    from tests.factories import make_superuser

    client = Client()
    client.force_login(make_superuser())
    talk = Conversation.objects.get(lp_conversation_id=TALK)
    answer = client.get(reverse("admin:conversations_conversation_change", args=[talk.pk]))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    for invisible in "\u202e\u2066\u2028\u2029\x00\x1b\u200b":
        assert invisible not in page, f"U+{ord(invisible):04X} stands there unmarked"
