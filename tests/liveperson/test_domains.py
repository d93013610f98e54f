"""Which host serves which service: two shapes of answers, a cache, and what a lying Domain API can do."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.errors import ConnectorError, CredentialsRejected, NotSent, RateLimited, RequestRejected
from core.http import HttpClient, OutboundPolicy
from liveperson.domains import PAUSE_S, TTL_S, DomainResolver
from tests.liveperson.server import CLOSE, ScriptedServer, Step, as_json, http

ACCOUNT = "12345678"
MSG = {"service": "asyncMessagingEnt", "account": ACCOUNT, "baseURI": "va.msg.liveperson.net"}
IDP = {"service": "idp", "account": ACCOUNT, "baseURI": "va.idp.liveperson.net"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked(clock: Clock) -> Any:
    """A resolver and the Domain API behind it; `answer` is what the latter says."""

    class Asked:
        answer: Callable[[], list[Step]] = staticmethod(lambda: as_json({"baseURIs": [MSG, IDP]}))

        def __init__(self) -> None:
            self.server = ScriptedServer(lambda _: self.answer())
            self.http = HttpClient(OutboundPolicy(("liveperson.net",), allow_private=True))
            self.resolver = DomainResolver(self.http, self.server.url, clock=clock)

        def url(self, service: str = "asyncMessagingEnt", account_id: str = ACCOUNT) -> str:
            return self.resolver.base_url(account_id=account_id, service=service)

        @property
        def count(self) -> int:
            return len(self.server.requests)

    found = Asked()
    yield found
    found.server.stop()


def test_one_call_answers_for_all_services(asked: Any) -> None:
    assert asked.url() == "https://va.msg.liveperson.net"
    assert asked.url("idp") == "https://va.idp.liveperson.net"
    assert asked.count == 1
    request = asked.server.requests[0]
    assert (request.path, request.query) == (f"/api/account/{ACCOUNT}/service/baseURI.json", {"version": "1.0"})


@pytest.mark.parametrize("answer", [MSG, {"baseURIs": MSG}, {"baseURIs": [MSG]}, {"baseURIs": [7, {}, MSG]}])
def test_both_shapes_of_answers_are_understood(asked: Any, answer: Any) -> None:
    asked.answer = lambda: as_json(answer)
    assert asked.url() == "https://va.msg.liveperson.net"


def test_answers_are_kept_for_hours_and_then_asked_for_again(asked: Any, clock: Clock) -> None:
    asked.url()
    clock.now += TTL_S - 1
    asked.url()
    assert asked.count == 1
    clock.now += 2
    asked.url()
    assert asked.count == 2


def test_accounts_are_kept_apart(asked: Any) -> None:
    asked.url()
    asked.url(account_id="999")
    assert asked.count == 2


def test_after_forget_it_is_asked_again_but_not_for_every_send(asked: Any, clock: Clock) -> None:
    asked.url()
    clock.now += 60
    for _ in range(5):
        asked.resolver.forget(ACCOUNT)
        asked.url()
    assert asked.count == 2
    clock.now += PAUSE_S + 1
    asked.url()
    assert asked.count == 3


@pytest.mark.parametrize("steps", [http(500), http(503, b""), [CLOSE], http(200, b"<html>"), http(429)], ids=str)
def test_what_is_known_stays_in_use_while_the_domain_api_fails(asked: Any, clock: Clock, steps: list[Step]) -> None:
    asked.url()
    asked.answer = lambda: steps
    clock.now += TTL_S + 1
    for _ in range(3):
        assert asked.url() == "https://va.msg.liveperson.net"
    assert asked.count == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (http(500), NotSent),
        (http(502, b"<html>"), NotSent),
        (http(302, b"", Location="https://evil.example/"), NotSent),
        ([CLOSE], NotSent),
        (http(200, b""), NotSent),
        (http(200, b"<html>"), NotSent),
        (as_json([]), NotSent),
        (as_json({"other": 1}), NotSent),
        (http(200, b"[" * 100_000), NotSent),
        (http(429), RateLimited),
        (http(503, b"", Retry_After="30"), RateLimited),
        (http(400), CredentialsRejected),
        (http(401, b"{}"), CredentialsRejected),
        (http(404, b"<html>"), CredentialsRejected),
        (as_json({"baseURIs": []}), CredentialsRejected),
        (as_json({"baseURIs": [IDP]}), RequestRejected),
    ],
    ids=str,
)
def test_a_domain_api_that_does_not_say_becomes_an_error(
    asked: Any, steps: list[Step], expected: type[ConnectorError]
) -> None:
    asked.answer = lambda: steps
    for _ in range(2):
        with pytest.raises(ConnectorError) as caught:
            asked.url()
        assert type(caught.value) is expected
    assert asked.count == 1


def test_after_a_failure_it_is_asked_again(asked: Any, clock: Clock) -> None:
    good, asked.answer = asked.answer, lambda: http(500)
    with pytest.raises(NotSent):
        asked.url()
    asked.answer = good
    clock.now += PAUSE_S + 1
    assert asked.url() == "https://va.msg.liveperson.net"


LIES = [
    "evil.example",
    "liveperson.net.evil.example",
    "evilliveperson.net",
    "user@va.msg.liveperson.net",
    "va.msg.liveperson.net@evil.example",
    "va.msg.liveperson.net:22",
    "va.msg.liveperson.net/path@evil.example",
    "va.msg.liveperson.net#@evil.example",
    "va.msg.liveperson.net?",
    "https://evil.example",
    "//evil.example",
    "xn--lveperson-n6a.net",
    "va.msg.livep\u0435rson.net",
    "169.254.169.254",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "2130706433",
    "a b.liveperson.net",
    "va.msg.liveperson.net\r\nX: y",
    ".",
    "..",
]


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_domain_api_cannot_lead_us_elsewhere(monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    """In production: the Domain API itself is reached over TLS, so only its answer is played here."""
    http_client = HttpClient(OutboundPolicy(("liveperson.net",)))
    resolver = DomainResolver(http_client)
    monkeypatch.setattr(resolver, "_fetch", lambda account_id: {"asyncMessagingEnt": lie})
    with pytest.raises(NotSent):
        resolver.base_url(account_id=ACCOUNT, service="asyncMessagingEnt")


@pytest.mark.parametrize("account_id", ["", "../x", "1/2", "1?x", "1#x", "1 2", "\u0661", "x" * 65])
def test_an_account_id_cannot_lead_elsewhere(asked: Any, account_id: str) -> None:
    with pytest.raises(CredentialsRejected):
        asked.url(account_id=account_id)
    assert asked.count == 0


@pytest.mark.parametrize(
    ("base_url", "host", "expected"),
    [
        ("http://127.0.0.1:8100", "127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("http://localhost:8100", "localhost:8100", "http://localhost:8100"),
        ("http://127.0.0.1:8100", "[::1]:8100", "http://[::1]:8100"),
        ("https://127.0.0.1:8143", "127.0.0.1:8143", "https://127.0.0.1:8143"),
        ("http://api.liveperson.net", "va.msg.liveperson.net", "https://va.msg.liveperson.net"),
    ],
)
def test_only_local_services_of_a_plain_domain_api_are_called_by_http(
    monkeypatch: pytest.MonkeyPatch, base_url: str, host: str, expected: str
) -> None:
    resolver = DomainResolver(HttpClient(OutboundPolicy(("liveperson.net",), allow_private=True)), base_url)
    monkeypatch.setattr(resolver, "_fetch", lambda account_id: {"idp": host})
    assert resolver.base_url(account_id=ACCOUNT, service="idp") == expected


def test_fifty_threads_cause_one_question(asked: Any) -> None:
    asked.answer = lambda: [0.2, *as_json({"baseURIs": [MSG]})]
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: asked.url(), range(50))) == {"https://va.msg.liveperson.net"}
    assert asked.count == 1


def test_fifty_threads_share_one_failure(asked: Any) -> None:
    asked.answer = lambda: [0.2, CLOSE]
    barrier = threading.Barrier(50)

    def ask(_: int) -> type[BaseException]:
        barrier.wait()
        with pytest.raises(NotSent) as caught:
            asked.url()
        return type(caught.value)

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, range(50))) == {NotSent}
    assert asked.count == 1
