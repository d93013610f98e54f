"""What LivePerson's door answers, and what it stores."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from core.actor import COMMAND
from installations import pausing
from installations import services as installations
from installations.models import AppInstallation, SignaturePolicy, State
from tests.conversations.notifications import said, sign
from tests.conversations.stand import CLIENT, Door, forget_caches
from webhooks.models import Delivery, DeliveryBody, DeliveryState, Inbox

BODY = b'{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[]}}'
LIMIT = 256 * 1024


def post(door: Door, body: bytes = BODY, *, path: str = "", type: str = "application/json", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if "x-liveperson-signature" not in named:
        named["x-liveperson-signature"] = sign(body, door.client_secret)
    # generic(): post() would encode the body anew by the charset that the type names.
    return CLIENT.generic(
        "POST", path or door.liveperson_path, body, content_type=type, headers=named, CONTENT_LENGTH=str(len(body))
    )


def said_of(answer: Any) -> dict[str, Any]:
    """The answer without what differs between any two."""
    told = answer.json()
    assert told.pop("correlation_id") == answer["X-Correlation-Id"]
    return told


# --- stored ----------------------------------------------------------------------------------------------------------


def test_an_authentic_notification_is_stored_byte_for_byte(door: Door) -> None:
    body = b' {"kind" :"notification",\r\n"x":"\xff\x00\xfe"} \n'

    answer = post(door, body)

    assert answer.status_code == 200
    delivery = Delivery.objects.get()
    assert answer.json() == {"delivery": str(delivery.pk)}
    assert bytes(delivery.body.raw) == body
    assert bytes(delivery.sha256) == hashlib.sha256(body).digest()
    assert (delivery.size, delivery.state) == (len(body), DeliveryState.STORED)
    assert delivery.installation_id == door.onboarded.installation.pk
    assert delivery.brand_id == door.onboarded.brand.pk
    assert delivery.secret_id == door.installation.secrets.get().pk


def test_its_body_is_kept_as_long_as_the_brand_says(door: Door) -> None:
    post(door)

    assert DeliveryBody.objects.get().expires_on == (timezone.now() + timedelta(days=90)).date()


def test_storing_rings_once_however_many_are_stored(door: Door) -> None:
    OrmQ.objects.all().delete()

    for _ in range(5):
        post(door)

    assert Delivery.objects.count() == 5
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_every_signature_that_liveperson_may_use_is_accepted(door: Door, algorithm: str, encoding: str) -> None:
    signature = sign(BODY, door.client_secret, algorithm=algorithm, encoding=encoding)

    assert post(door, x_liveperson_signature=signature).status_code == 200


def test_the_headers_that_name_account_and_client_may_be_there(door: Door) -> None:
    client_id = door.onboarded.installation.client_id.upper()

    answer = post(door, x_liveperson_account_id="12345678", x_liveperson_client_id=client_id)

    assert answer.status_code == 200


def test_a_paused_installation_stores(door: Door) -> None:
    pausing.pause(door.installation, actor=COMMAND, reason="maintenance")
    forget_caches()

    assert post(door).status_code == 200
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    "type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b; charset=utf-16"],
)
def test_the_content_type_is_not_judged(door: Door, type: str) -> None:
    assert post(door, type=type).status_code == 200
    assert bytes(Delivery.objects.get().body.raw) == BODY


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*;q=0"])
def test_what_the_sender_would_like_as_an_answer_is_not_judged(door: Door, accept: str) -> None:
    assert post(door, accept=accept).status_code == 200


@pytest.mark.parametrize("query", ["?format=xml", "?token=abc", "?x-liveperson-signature=sha1=x"])
def test_a_query_string_is_ignored(door: Door, query: str) -> None:
    assert post(door, path=door.liveperson_path + query).status_code == 200


def test_two_secrets_are_valid_during_a_rotation_and_the_one_that_verified_is_recorded(door: Door) -> None:
    newer = installations.add_client_secret(door.installation, secret="the-newer-secret", actor=COMMAND)
    forget_caches()

    assert post(door, x_liveperson_signature=sign(BODY, "the-newer-secret")).status_code == 200
    assert post(door).status_code == 200

    assert newer is not None
    used = list(Delivery.objects.order_by("id").values_list("secret_id", flat=True))
    assert used[0] == newer.pk
    assert used[1] != newer.pk


def test_the_same_notification_twice_is_stored_twice(door: Door) -> None:
    """It has no id of its own: what is a repeat shows when its changes are applied."""
    post(door)
    post(door)

    assert Delivery.objects.count() == 2


# --- sizes and encodings ---------------------------------------------------------------------------------------------


def test_256_kib_are_stored_and_one_byte_more_is_not(door: Door) -> None:
    assert post(door, b"x" * LIMIT).status_code == 200

    answer = post(door, b"x" * (LIMIT + 1))

    assert answer.status_code == 413
    assert said_of(answer) == {"code": "body_refused", "detail": "The body is larger than 262144 bytes."}
    assert Delivery.objects.count() == 1


def test_an_empty_body_is_stored_when_it_is_signed(door: Door) -> None:
    assert post(door, b"").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip", "zstd", "x-gzip", "GZIP", "chunked"])
def test_a_content_encoding_is_refused(door: Door, encoding: str) -> None:
    answer = post(door, content_encoding=encoding)

    assert answer.status_code == 415
    assert set(said_of(answer)) == {"code", "detail"}
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_encoding(door: Door, encoding: str) -> None:
    assert post(door, content_encoding=encoding).status_code == 200


@pytest.mark.parametrize("length", ["", "-1", "+5", "five", "1.0", "0x10", "٣"])
def test_a_length_that_is_none_is_refused(door: Door, length: str) -> None:
    answer = CLIENT.generic("POST", door.liveperson_path, BODY, CONTENT_LENGTH=length)

    assert answer.status_code == 411


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 5000])
def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(door: Door, length: str) -> None:
    answer = CLIENT.generic("POST", door.liveperson_path, BODY, CONTENT_LENGTH=length)

    assert answer.status_code == 413


# --- refused ---------------------------------------------------------------------------------------------------------


def _retire(door: Door) -> None:
    first = door.installation.secrets.get()
    installations.add_client_secret(door.installation, secret="another", actor=COMMAND)
    installations.retire_client_secret(first, actor=COMMAND)


def _disable(door: Door) -> None:
    AppInstallation.objects.update(state=State.DISABLED)


def _only_sha256(door: Door) -> None:
    AppInstallation.objects.update(signature_policy=SignaturePolicy.SHA256)


def _empty_secret(door: Door) -> None:
    secret = door.installation.secrets.get()
    secret.keep(b"")
    secret.save()


GOOD = "GOOD"
REFUSALS: dict[str, tuple[Any, dict[str, str]]] = {
    "no signature": (None, {"x_liveperson_signature": ""}),
    "signature of another body": (None, {"x_liveperson_signature": sign(b"other", "secret")}),
    "retired secret": (_retire, {}),
    "disabled": (_disable, {}),
    "sha1 where only sha256 is allowed": (_only_sha256, {}),
    "empty secret": (_empty_secret, {"x_liveperson_signature": sign(BODY, "")}),
    "another account": (None, {"x_liveperson_account_id": "87654321"}),
    "another client": (None, {"x_liveperson_client_id": str(uuid.uuid4())}),
    "empty account": (None, {"x_liveperson_account_id": ""}),
    "Latin-1 in the signature": (None, {"x_liveperson_signature": "sha1=\u00fc\u00df"}),
    "no prefix": (None, {"x_liveperson_signature": sign(BODY, "s").partition("=")[2]}),
    "very long": (None, {"x_liveperson_signature": "sha1=" + "A" * 4000}),
    "unknown algorithm": (None, {"x_liveperson_signature": "md5=abc"}),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_authentic_is_refused_with_one_answer_and_not_stored(door: Door, case: str) -> None:
    prepare, headers = REFUSALS[case]
    if prepare:
        prepare(door)
        forget_caches()

    answer = post(door, **headers)

    assert answer.status_code == 401
    assert said_of(answer) == {"code": "webhook_rejected", "detail": "The request is not authentic."}
    assert not Delivery.objects.exists()


def test_an_unknown_id_gets_the_same_answer(door: Door) -> None:
    answer = post(door, path=f"/webhooks/liveperson/{uuid.uuid4()}/")

    assert answer.status_code == 401
    assert said_of(answer) == {"code": "webhook_rejected", "detail": "The request is not authentic."}


@pytest.mark.parametrize("change", ["garbage behind", "half of it", "blank inside", "no padding", "two in one header"])
def test_a_signature_that_is_nearly_right_is_wrong(door: Door, change: str) -> None:
    good = sign(BODY, door.client_secret)
    wrong = {
        "garbage behind": good + "A",
        "half of it": good[: len(good) // 2],
        "blank inside": good[:12] + " " + good[12:],
        "no padding": good.rstrip("="),
        "two in one header": f"{good},{good}",
    }[change]

    assert post(door, x_liveperson_signature=wrong).status_code == 401


def test_the_secret_of_another_installation_does_not_open_this_door(door: Door) -> None:
    from tests.conversations.stand import make_door

    other = make_door(brand="other", account="87654321")

    assert post(door, x_liveperson_signature=sign(BODY, other.client_secret)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_only_post_is_allowed(door: Door, method: str) -> None:
    answer = CLIENT.generic(method, door.liveperson_path)

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    if method != "HEAD":
        assert set(answer.json()) == {"code", "detail", "correlation_id"}


@pytest.mark.parametrize("change", ["no slash", "two slashes", "more", "not an id", "upper case"])
def test_another_path_is_not_found_and_never_redirected(door: Door, change: str) -> None:
    good = door.liveperson_path
    path = {
        "no slash": good.rstrip("/"),
        "two slashes": good + "/",
        "more": good + "more/",
        "not an id": "/webhooks/liveperson/1/",
        "upper case": good.upper().replace("/WEBHOOKS/LIVEPERSON/", "/webhooks/liveperson/"),
    }[change]

    answer = post(door, path=path)

    assert answer.status_code == 404
    assert set(answer.json()) == {"code", "detail", "correlation_id"}


def test_a_refusal_says_nothing_of_the_reason_to_the_sender_but_does_in_the_log(
    door: Door, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        post(door, x_liveperson_signature="sha1=wrong-signature-canary")

    logged = caplog.text + capsys.readouterr().err
    assert "webhook.rejected" in logged
    assert "wrong-signature-canary" not in logged
    assert door.client_secret not in logged


def test_a_key_that_is_gone_refuses_for_now_instead_of_for_good(
    door: Door, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """LivePerson sends a 503 again; a 401 might be given up. The log says what is to be mended."""
    door.installation.secrets.update(sealed=b"\x01" + bytes(80))
    forget_caches()

    answer = post(door)

    assert "not in ENCRYPTION_KEYS. Add that key." in caplog.text + capsys.readouterr().err
    assert answer.status_code == 503
    assert said_of(answer)["code"] == "not_stored"
    assert not Delivery.objects.exists()


def test_the_next_good_request_works_after_any_of_them(door: Door) -> None:
    post(door, x_liveperson_signature="sha1=")
    post(door, b"x" * (LIMIT + 1))
    post(door, content_encoding="gzip")

    assert door.notify(said("c-1", 1, "Hello")).status_code == 200
    assert json.loads(bytes(Delivery.objects.get().body.raw))["kind"] == "notification"


@pytest.mark.parametrize("kind", ["liveperson", "channel"])
def test_a_strangers_request_writes_nothing_and_the_first_authentic_one_begins_the_inbox(door: Door, kind: str) -> None:
    path, source = {
        "liveperson": (door.liveperson_path, door.onboarded.installation),
        "channel": (door.channel_path, door.onboarded.channel),
    }[kind]
    answer = door.client.post(path, b"{}", content_type="application/json")
    assert answer.status_code == 401
    assert not Inbox.objects.exists()

    facts = {"id": "m-1", "consumer": {"id": "ada"}, "text": "Hello"}
    answer = door.notify(said("c-1", 1, "Hello")) if kind == "liveperson" else door.tell("message.received", facts)
    assert answer.status_code == 200
    assert Inbox.objects.get().pk == source.pk
