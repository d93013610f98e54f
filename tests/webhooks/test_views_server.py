"""The doors on a real web server: bodies in pieces, lengths that lie, requests one behind the other."""

from __future__ import annotations

import json
import time

import pytest

from tests.conversations.notifications import notification, said, sign
from tests.conversations.stand import Door, make_door
from tests.webhooks.web import Web, chunked
from webhooks.models import Delivery

BODY = notification(said("c-1", 1, "Grüße 👋🏽"))
LIMIT = 256 * 1024


@pytest.fixture
def site(transactional_db: None, web: Web) -> Door:
    return make_door()


def head(door: Door, *lines: str, body: bytes = BODY, path: str = "", version: str = "1.1") -> bytes:
    """A request up to the empty line: signed for `body`, with these lines besides."""
    signature = sign(body, door.client_secret)
    given = [f"POST {path or door.liveperson_path} HTTP/{version}", "Host: 127.0.0.1", *lines]
    if not any(line.lower().startswith(("x-liveperson-signature", "x_liveperson")) for line in lines):
        given.append(f"X-Liveperson-Signature: {signature}")
    return "\r\n".join([*given, "", ""]).encode("latin-1")


def good(door: Door, body: bytes = BODY) -> bytes:
    return head(door, f"Content-Length: {len(body)}", body=body) + body


def stored() -> list[bytes]:
    return [bytes(one.body.raw) for one in Delivery.objects.order_by("id")]


def assert_next_good_request_works(web: Web, door: Door) -> None:
    before = Delivery.objects.count()
    assert web.exchange(good(door)).status == 200
    assert Delivery.objects.count() == before + 1


def test_a_plain_request_is_stored(web: Web, site: Door) -> None:
    answer = web.exchange(good(site))

    assert answer.status == 200
    assert answer.json == {"delivery": str(Delivery.objects.get().pk)}
    assert stored() == [BODY]


def test_a_chunked_body_is_read_like_any_other(web: Web, site: Door) -> None:
    pieces = chunked(BODY[:10], BODY[10:11], BODY[11:])

    assert web.exchange(head(site, "Transfer-Encoding: chunked"), pieces).status == 200
    assert stored() == [BODY]


def test_a_chunked_body_may_have_extensions_and_trailers(web: Web, site: Door) -> None:
    pieces = b"%x;name=value\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY)

    assert web.exchange(head(site, "Transfer-Encoding: chunked"), pieces).status == 200
    assert stored() == [BODY]


def test_a_chunked_body_that_comes_byte_by_byte_is_read(web: Web, site: Door) -> None:
    pieces = chunked(*(BODY[place : place + 1] for place in range(len(BODY))))

    assert web.exchange(head(site, "Transfer-Encoding: chunked"), pieces).status == 200
    assert stored() == [BODY]


def test_an_empty_chunked_body_is_an_empty_body(web: Web, site: Door) -> None:
    assert web.exchange(head(site, "Transfer-Encoding: chunked", body=b""), chunked()).status == 200
    assert stored() == [b""]


def test_a_chunked_body_of_the_largest_size_is_stored(web: Web, site: Door) -> None:
    body = b"x" * LIMIT

    assert web.exchange(head(site, "Transfer-Encoding: chunked", body=body), chunked(body)).status == 200
    assert len(stored()[0]) == LIMIT


def test_a_chunked_body_that_never_ends_is_refused_at_the_limit(web: Web, site: Door) -> None:
    with web.connect() as wire:
        wire.send(head(site, "Transfer-Encoding: chunked"))
        for _ in range(6):
            wire.send(chunked(b"x" * 50_000, end=b""))
        answer = wire.read()

    assert answer.status == 413
    assert set(answer.json) == {"code", "detail", "correlation_id"}
    assert stored() == []
    assert_next_good_request_works(web, site)


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"5\r\nabc", b"ffffffffffffffff\r\nabc", b"3 \r\nabcdef\r\n"]
)
def test_broken_chunks_are_refused_and_do_no_harm(web: Web, site: Door, chunk: bytes) -> None:
    with web.connect() as wire:
        wire.send(head(site, "Transfer-Encoding: chunked") + chunk)
        wire._socket.shutdown(1)
        answer = wire.read()

    assert answer.status in (0, 400, 401, 413), answer
    assert stored() == []
    assert_next_good_request_works(web, site)


def test_a_chunk_as_large_as_a_number_can_say_does_not_fill_the_memory(web: Web, site: Door) -> None:
    with web.connect() as wire:
        wire.send(head(site, "Transfer-Encoding: chunked") + b"7fffffff\r\n" + b"x" * 2 * LIMIT)
        answer = wire.read()

    assert answer.status == 413
    assert_next_good_request_works(web, site)


def test_a_sender_that_goes_away_in_the_middle_leaves_nothing(web: Web, site: Door) -> None:
    with web.connect() as wire:
        wire.send(head(site, f"Content-Length: {len(BODY)}") + BODY[:20])
    with web.connect() as wire:
        wire.send(head(site, "Transfer-Encoding: chunked") + chunked(BODY[:20], end=b""))

    assert_next_good_request_works(web, site)
    assert stored() == [BODY]
    assert "Traceback" not in web.log


def test_neither_length_nor_chunks_is_a_411(web: Web, site: Door) -> None:
    answer = web.exchange(head(site), BODY)

    assert answer.status == 411
    assert answer.json["code"] == "body_refused"
    assert stored() == []


def test_a_length_that_is_too_small_cuts_the_body_and_so_breaks_the_signature(web: Web, site: Door) -> None:
    answer = web.exchange(head(site, f"Content-Length: {len(BODY) - 1}") + BODY)

    assert answer.status == 401
    assert stored() == []


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -1",),
        ("Content-Length: +5",),
        ("Content-Length: five",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Content-Length: 5\r\n folded",),
        ("X-Injected\r: 1", "Content-Length: 5"),
    ],
)
def test_a_request_that_two_readers_could_read_differently_is_refused(
    web: Web, site: Door, lines: tuple[str, ...]
) -> None:
    answer = web.exchange(head(site, *lines), chunked(BODY))

    assert answer.status in (400, 415, 501), answer
    assert stored() == []
    assert_next_good_request_works(web, site)


def test_100_mb_are_refused_before_they_are_sent(web: Web, site: Door) -> None:
    answer = web.exchange(head(site, "Content-Length: 104857600"), b"x" * 1000)

    assert answer.status == 413
    assert_next_good_request_works(web, site)


def test_a_compressed_body_is_refused(web: Web, site: Door) -> None:
    assert web.exchange(head(site, "Content-Encoding: gzip", f"Content-Length: {len(BODY)}") + BODY).status == 415
    assert stored() == []


def test_requests_one_behind_the_other_get_answers_of_their_own(web: Web, site: Door) -> None:
    bad = head(site, "X-Liveperson-Signature: sha1=wrong", f"Content-Length: {len(BODY)}") + BODY
    other = notification(said("c-1", 2, "second"))
    pieces = head(site, "Transfer-Encoding: chunked", body=other) + chunked(other)
    with web.connect() as wire:
        wire.send(
            good(site) + bad + pieces + head(site, "Content-Encoding: br", "Content-Length: 4") + b"abcd" + good(site)
        )
        statuses = [wire.read().status for _ in range(5)]

    assert statuses == [200, 401, 200, 415, 200]
    assert stored() == [BODY, other, BODY]


def test_http_1_0_works(web: Web, site: Door) -> None:
    assert web.exchange(head(site, f"Content-Length: {len(BODY)}", version="1.0") + BODY).status == 200


def test_a_sender_that_waits_to_be_asked_for_the_body_is_asked(web: Web, site: Door) -> None:
    with web.connect() as wire:
        wire.send(head(site, f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        time.sleep(0.1)
        wire.send(BODY)
        assert wire.read().status == 200


def test_a_header_with_an_underscore_is_no_signature(web: Web, site: Door) -> None:
    signature = sign(BODY, site.client_secret)

    answer = web.exchange(head(site, f"X_Liveperson_Signature: {signature}", f"Content-Length: {len(BODY)}") + BODY)

    assert answer.status in (400, 401)
    assert stored() == []


def test_the_signature_header_twice_is_refused_even_when_the_first_is_good(web: Web, site: Door) -> None:
    signature = sign(BODY, site.client_secret)
    lines = (f"X-Liveperson-Signature: {signature}", "X-Liveperson-Signature: sha1=AAAA")

    assert web.exchange(head(site, *lines, f"Content-Length: {len(BODY)}") + BODY).status == 401


def test_a_byte_beyond_ascii_in_the_signature_is_refused(web: Web, site: Door) -> None:
    answer = web.exchange(head(site, "X-Liveperson-Signature: sha1=\xfc\xff", f"Content-Length: {len(BODY)}") + BODY)

    assert answer.status == 401


def test_two_hundred_headers_are_refused(web: Web, site: Door) -> None:
    lines = [f"X-Number-{number}: 1" for number in range(200)]

    assert web.exchange(head(site, *lines, f"Content-Length: {len(BODY)}") + BODY).status in (400, 431)
    assert_next_good_request_works(web, site)


def test_an_address_without_its_slash_is_not_found_and_not_redirected(web: Web, site: Door) -> None:
    answer = web.exchange(head(site, f"Content-Length: {len(BODY)}", path=site.liveperson_path.rstrip("/")) + BODY)

    assert answer.status == 404
    assert "location" not in answer.head.lower()


def test_the_channels_door_reads_chunks_too(web: Web, site: Door) -> None:
    facts = {"id": "m-1", "consumer": {"id": "ada"}, "text": "Grüße"}
    body = json.dumps({"type": "message.received", "data": facts}, ensure_ascii=False).encode()
    lines = [f"{name}: {value}" for name, value in site.signed(body).items()]
    request = head(site, *lines, "Transfer-Encoding: chunked", path=site.channel_path)

    assert web.exchange(request, chunked(body[:5], body[5:])).status == 200
    assert stored() == [body]


def test_no_secret_and_no_text_is_logged(web: Web, site: Door) -> None:
    web.exchange(good(site))
    web.exchange(head(site, "X-Liveperson-Signature: sha1=canary", f"Content-Length: {len(BODY)}") + BODY)

    assert "webhook.rejected" in web.log
    assert "Grüße" not in web.log
    assert "canary" not in web.log
    assert site.client_secret not in web.log
