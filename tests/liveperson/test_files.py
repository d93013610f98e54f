"""Files up and down, and what a lying storage answer can do."""

from typing import Any

import pytest

from core.errors import ConnectorError, NotSent, RateLimited, RequestRejected, TokenExpired
from liveperson.client import TemporaryUrl
from tests.liveperson.conftest import TOKENS, FakeLivePerson
from tests.liveperson.server import CLOSE, Step, as_json, http

PATH = "/v1/AUTH_async-images/12345678/9c1f_uuid_1_21-11-2023_10-15-42-101.PNG"
QUERY = {"temp_url_sig": "canary5b2d", "temp_url_expires": "1700000060"}
URL = TemporaryUrl(PATH, QUERY)
ASK: dict[str, Any] = {"tokens": TOKENS, "request_id": "f1"}


def test_an_upload_url_is_asked_for(liveperson: FakeLivePerson) -> None:
    liveperson.ok(relativePath=PATH, queryParams=QUERY)
    url = liveperson.client.request_upload_url(file_size=48213, file_type="png", **ASK)
    assert url == URL
    assert "canary" not in repr(url)
    assert liveperson.last.json == {
        "kind": "req",
        "id": "f1",
        "type": "ms.GenerateURLForUploadFile",
        "body": {"fileSize": "48213", "fileType": "PNG"},
    }


def test_a_download_url_is_asked_for(liveperson: FakeLivePerson) -> None:
    liveperson.ok(relativePath=PATH, queryParams=QUERY | {"temp_url_expires": 1700000060})
    assert liveperson.client.request_download_url(relative_path=PATH, **ASK) == URL
    assert liveperson.last.json["type"] == "ms.GenerateURLForDownloadFile"
    assert liveperson.last.json["body"] == {"relativePath": PATH}


def test_bytes_are_put_and_got_without_our_tokens(liveperson: FakeLivePerson) -> None:
    content = bytes(range(256)) * 8000
    liveperson.answer = lambda request: http(201) if request.method == "PUT" else http(200, content)
    liveperson.client.upload(URL, content, content_type="image/png")
    assert (liveperson.last.method, liveperson.last.path, liveperson.last.query) == ("PUT", PATH, QUERY)
    assert liveperson.last.body == content
    assert "authorization" not in liveperson.last.headers
    assert liveperson.client.download(URL, max_bytes=len(content)) == content
    assert (liveperson.last.method, liveperson.last.path, liveperson.last.query) == ("GET", PATH, QUERY)


def test_a_file_above_the_cap_can_never_be_fetched(liveperson: FakeLivePerson) -> None:
    liveperson.answer = lambda _: http(200, b"x" * 1001)
    with pytest.raises(RequestRejected, match="1000 bytes"):
        liveperson.client.download(URL, max_bytes=1000)


STORAGE: list[tuple[list[Step], type[ConnectorError]]] = [
    (http(401, b"canary5b2d"), NotSent),  # the temporary URL is too old: our credentials are fine
    (http(403, b""), NotSent),
    (http(404, b""), RequestRejected),
    (http(413, b""), RequestRejected),
    (http(302, b"", Location="http://169.254.169.254/"), RequestRejected),
    (http(429, b""), RateLimited),
    (http(500, b""), NotSent),
    (http(503, b"", Retry_After="5"), RateLimited),
    ([CLOSE], NotSent),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", CLOSE], NotSent),
]


@pytest.mark.parametrize(("steps", "expected"), STORAGE, ids=str)
def test_a_step_before_publishing_never_leaves_the_message_in_doubt(
    liveperson: FakeLivePerson, steps: list[Step], expected: type[ConnectorError]
) -> None:
    liveperson.answer = lambda _: steps
    for action in (lambda: liveperson.client.upload(URL, b"x"), lambda: liveperson.client.download(URL)):
        with pytest.raises(ConnectorError) as caught:
            action()
        assert type(caught.value) is expected
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (as_json({"code": "BAD_REQUEST", "body": {"msg": "Bad Request"}, "reqId": "f1"}, 400), RequestRejected),
        (as_json({"kind": "resp", "code": 401, "body": {"errorCode": 40102}}, 401), TokenExpired),
        (http(500, b""), NotSent),
        (http(200, b"<html>"), NotSent),
        ([CLOSE], NotSent),
    ],
    ids=str,
)
def test_no_temporary_url_becomes_an_error(
    liveperson: FakeLivePerson, steps: list[Step], expected: type[ConnectorError]
) -> None:
    liveperson.answer = lambda _: steps
    with pytest.raises(ConnectorError) as caught:
        liveperson.client.request_upload_url(file_size=1, file_type="PNG", **ASK)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "path",
    [
        "@evil.example/x",
        "evil.example/x",
        ".evil.example/x",
        ":22/x",
        "//evil.example/x",
        "https://evil.example/x",
        "/a/../../x",
        "/a\\x",
        "/a?x=1",
        "/a#x",
        "/a b",
        "/a\r\nX: y",
        "/\x00",
        "/" + "a" * 2000,
        "/",
        "",
        None,
        7,
        ["/a"],
    ],
)
def test_a_lying_path_cannot_lead_us_elsewhere(liveperson: FakeLivePerson, path: Any) -> None:
    liveperson.ok(relativePath=path, queryParams=QUERY)
    with pytest.raises(NotSent):
        liveperson.client.request_download_url(relative_path=PATH, **ASK)


@pytest.mark.parametrize(
    "query",
    [None, [], {}, {"temp_url_sig": "x"}, QUERY | {"temp_url_sig": ""}, QUERY | {"temp_url_sig": "a\r\nb"}, {"a": 1}],
)
def test_a_url_without_a_usable_signature_is_none(liveperson: FakeLivePerson, query: Any) -> None:
    liveperson.ok(relativePath=PATH, queryParams=query)
    with pytest.raises(NotSent):
        liveperson.client.request_upload_url(file_size=1, file_type="PNG", **ASK)


def test_only_what_belongs_to_the_signature_is_sent_to_the_storage(liveperson: FakeLivePerson) -> None:
    liveperson.ok(relativePath=PATH, queryParams=QUERY | {"redirect": "https://evil.example", "a&b": "c"})
    assert liveperson.client.request_download_url(relative_path=PATH, **ASK).query == QUERY
