"""AppJWT and ConsumerJWS: fetching, lifetime, and one renewal for many callers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import ConnectorError, CredentialsRejected, NotSent, RateLimited, RequestRejected, TokenExpired
from liveperson.auth import (
    PAUSE_AFTER_FAILURE_S,
    AppJWT,
    AppTokens,
    ConsumerJWS,
    InMemoryTokenStore,
    fetch_app_jwt,
    fetch_consumer_jws,
)
from tests.liveperson.conftest import ACCOUNT, FakeLivePerson, jwt
from tests.liveperson.server import CLOSE, Step, as_json, http

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLIENT_ID = "0f0e0d0c-1111-4222-8333-444455556666"


def login(liveperson: FakeLivePerson) -> AppJWT:
    return fetch_app_jwt(
        http=liveperson.http,
        domains=liveperson.domains,
        account_id=ACCOUNT,
        client_id=CLIENT_ID,
        client_secret="canary-secret",
        now=NOW,
    )


def identify(liveperson: FakeLivePerson) -> ConsumerJWS:
    return fetch_consumer_jws(
        http=liveperson.http,
        domains=liveperson.domains,
        account_id=ACCOUNT,
        app_jwt="canary-app-jwt",
        ext_consumer_id="sms:+15550100",
    )


# --- AppJWT ----------------------------------------------------------------------------------------------------------


def test_the_secret_travels_in_the_body_only(liveperson: FakeLivePerson) -> None:
    token = jwt({"exp": NOW.timestamp() + 3600, "iat": NOW.timestamp()})
    liveperson.answer = lambda _: as_json({"access_token": token, "token_type": "Bearer", "more": 1})
    assert login(liveperson) == AppJWT(token, NOW + HOUR)
    request = liveperson.last
    assert request.path == f"/sentinel/api/account/{ACCOUNT}/app/token"
    assert request.query == {"v": "1.0", "grant_type": "client_credentials"}
    assert request.body == f"client_id={CLIENT_ID}&client_secret=canary-secret".encode()
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert token not in repr(login(liveperson))


@pytest.mark.parametrize(
    ("claims", "expires_in", "lifetime_s"),
    [
        ({"exp": 3600, "iat": 0.001}, None, 3600),
        ({"exp": 3600, "iat": -20}, None, 3600),  # clocks agree to a minute: LivePerson's own time counts
        ({"exp": 3600 + 600, "iat": 600}, None, 3600),  # our clock is ten minutes slow
        ({"exp": 3600 - 600, "iat": -600}, None, 3600),  # our clock is ten minutes fast
        ({"exp": 3600 - 7200, "iat": -7200}, None, 3600),  # two hours fast: the token is not expired from the start
        ({"exp": 3600}, None, 3600),
        ({"exp": -5}, 120, 120),
        ({}, 120, 120),
        ({}, "120", 120),
        ({}, None, 1800),
        ({}, "garbage", 1800),
        ({}, -1, 1800),
        ({}, 10**30, 1800),
        ({"exp": 1e18, "iat": 0}, None, 1800),
        ({"exp": "tomorrow", "iat": []}, None, 1800),
        ({"exp": True, "iat": 1}, 60, 60),
        ({"exp": 10**7, "iat": 0.5}, None, 86400),
        ({"exp": 10, "iat": 20}, None, 10),
        ([], None, 1800),
        ("x", None, 1800),
    ],
)
def test_the_lifetime_is_read_from_the_token(
    liveperson: FakeLivePerson, claims: Any, expires_in: Any, lifetime_s: float
) -> None:
    """Times in `claims` are seconds from now."""
    if isinstance(claims, dict):
        claims = {
            name: value + NOW.timestamp() if isinstance(value, (int, float)) and value is not True else value
            for name, value in claims.items()
        }
    answer = {"access_token": jwt(claims)} | ({"expires_in": expires_in} if expires_in is not None else {})
    liveperson.answer = lambda _: as_json(answer)
    assert (login(liveperson).expires_at - NOW).total_seconds() == pytest.approx(lifetime_s, abs=1)


@pytest.mark.parametrize("token", ["opaque", "a.b", "a.b.c", "a.!!!.c", "a..c", "....", "a." + "W" * 5000 + ".c"])
def test_a_token_that_is_no_jwt_is_used_all_the_same(liveperson: FakeLivePerson, token: str) -> None:
    liveperson.answer = lambda _: as_json({"access_token": token})
    assert login(liveperson) == AppJWT(token, NOW + HOUR / 2)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (as_json({"error": "invalid_client", "error_description": "x"}, 401), CredentialsRejected),
        (as_json({"error": "invalid_client", "echo": "canary-secret"}, 400), CredentialsRejected),
        (http(403, b"<html>"), CredentialsRejected),
        (http(404, b""), CredentialsRejected),
        (http(429, b""), RateLimited),
        (http(503, b"", Retry_After="9"), RateLimited),
        (http(500, b"canary-secret"), NotSent),
        (http(503, b""), NotSent),
        (http(302, b"", Location="https://evil.example"), RequestRejected),
        (http(200, b""), NotSent),
        (http(200, b"<html>canary-secret"), NotSent),
        (as_json([]), NotSent),
        (as_json({"access_token": ""}), NotSent),
        (as_json({"access_token": 7}), NotSent),
        (as_json({"access_token": "a\r\nX-Evil: 1"}), NotSent),
        (as_json({"access_token": "a b"}), NotSent),
        (as_json({"access_token": "\u00e9"}), NotSent),
        (as_json({"access_token": "x" * 9000}), NotSent),
        ([CLOSE], NotSent),
    ],
    ids=str,
)
def test_no_token_becomes_an_error_that_leaves_the_message_unsent(
    liveperson: FakeLivePerson, steps: list[Step], expected: type[ConnectorError]
) -> None:
    liveperson.answer = lambda _: steps
    with pytest.raises(ConnectorError) as caught:
        login(liveperson)
    assert type(caught.value) is expected
    assert "canary" not in f"{caught.value} {vars(caught.value)}"


def test_the_reason_that_the_login_service_gives_is_kept(liveperson: FakeLivePerson) -> None:
    liveperson.answer = lambda _: as_json({"error": "invalid_client"}, 401)
    with pytest.raises(CredentialsRejected) as caught:
        login(liveperson)
    assert (caught.value.provider_code, caught.value.http_status) == ("invalid_client", 401)
    assert "client id and secret" in caught.value.detail


@pytest.mark.parametrize(
    ("seconds_left", "expected"), [(3600, False), (301, False), (300, True), (1, True), (0, True), (-9, True)]
)
def test_a_token_needs_renewal_five_minutes_ahead(seconds_left: int, expected: bool) -> None:
    assert AppJWT("t", NOW + timedelta(seconds=seconds_left)).needs_renewal(NOW) is expected


# --- ConsumerJWS -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_consumer_token_is_fetched_with_the_raw_app_jwt(liveperson: FakeLivePerson, status: int) -> None:
    token = jwt({"account_id": ACCOUNT, "ext_consumer_id": "sms:+15550100", "lp_consumer_id": "9c1f"})
    liveperson.answer = lambda _: as_json({"token": token}, status)
    jws = identify(liveperson)
    assert jws == ConsumerJWS(token, "9c1f")
    assert token not in repr(jws)
    request = liveperson.last
    assert (request.path, request.query) == (f"/api/account/{ACCOUNT}/consumer", {"v": "1.0"})
    assert request.headers["authorization"] == "canary-app-jwt"
    assert request.json == {"ext_consumer_id": "sms:+15550100"}


@pytest.mark.parametrize(
    "claims", [{}, {"lp_consumer_id": 7}, {"lp_consumer_id": "x" * 300}, {"lp_consumer_id": "\x00"}]
)
def test_a_consumer_token_without_a_usable_id_is_tolerated(liveperson: FakeLivePerson, claims: Any) -> None:
    liveperson.answer = lambda _: as_json({"token": jwt(claims)}, 201)
    assert identify(liveperson).lp_consumer_id == ""


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (http(401, b""), TokenExpired),
        (as_json({"kind": "resp", "code": 401, "body": {"errorCode": 40102}}, 401), TokenExpired),
        (http(403, b""), CredentialsRejected),
        (http(400, b"{}"), RequestRejected),
        (http(429, b""), RateLimited),
        (http(500, b""), NotSent),
        (http(201, b"{}"), NotSent),
        ([CLOSE], NotSent),
    ],
    ids=str,
)
def test_no_consumer_token_becomes_an_error(
    liveperson: FakeLivePerson, steps: list[Step], expected: type[ConnectorError]
) -> None:
    liveperson.answer = lambda _: steps
    with pytest.raises(ConnectorError) as caught:
        identify(liveperson)
    assert type(caught.value) is expected


# --- one renewal for many callers ------------------------------------------------------------------------------------


class Issuer:
    """Gives out numbered tokens; takes as long and fails as often as it is told."""

    def __init__(
        self, *, pause_s: float = 0.0, lifetime: timedelta = HOUR, before: Callable[[], object] = lambda: None
    ) -> None:
        """before: comes first, each time."""
        self.calls: list[float] = []
        self.pause_s = pause_s
        self.lifetime = lifetime
        self.before = before
        self.error: ConnectorError | None = None

    def __call__(self, key: str) -> AppJWT:
        self.calls.append(time.monotonic())
        self.before()
        time.sleep(self.pause_s)
        if self.error is not None:
            raise self.error
        return AppJWT(f"{key}-{len(self.calls)}", datetime.now(UTC) + self.lifetime)


def in_parallel(count: int, action: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(count)

    def one(_: int) -> Any:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_a_token_is_fetched_once_and_kept() -> None:
    issuer = Issuer()
    tokens = AppTokens(InMemoryTokenStore(), issuer)
    assert [tokens.get("a").token for _ in range(3)] == ["a-1"] * 3
    assert tokens.get("b").token == "b-2"


def test_fifty_callers_without_a_token_cause_one_fetch() -> None:
    issuer = Issuer(pause_s=0.2)
    tokens = AppTokens(InMemoryTokenStore(), issuer)
    assert set(in_parallel(50, lambda: tokens.get("a").token)) == {"a-1"}
    assert len(issuer.calls) == 1


def test_fifty_callers_whose_token_was_rejected_cause_one_renewal() -> None:
    issuer = Issuer(pause_s=0.2)
    tokens = AppTokens(InMemoryTokenStore(), issuer)
    rejected = tokens.get("a").token
    assert set(in_parallel(50, lambda: tokens.renew("a", rejected=rejected).token)) == {"a-2"}
    assert tokens.renew("a", rejected=rejected).token == "a-2"  # the one that comes late
    assert len(issuer.calls) == 2


def test_callers_with_stores_of_their_own_over_one_table_share_the_renewal() -> None:
    """Two processes: two AppTokens, one store between them."""
    store, issuer = InMemoryTokenStore(), Issuer(pause_s=0.1)
    processes = [AppTokens(store, issuer) for _ in range(2)]
    found = in_parallel(20, lambda: processes[threading.get_ident() % 2].get("a").token)
    assert set(found) == {"a-1"}
    assert len(issuer.calls) == 1


def test_a_renewal_that_ended_between_look_and_lease_is_not_repeated() -> None:
    class Overtaken(InMemoryTokenStore):
        def acquire(self, key: str, *, lease_s: float) -> bool:
            self.save(key, AppJWT("theirs", datetime.now(UTC) + HOUR))
            return super().acquire(key, lease_s=lease_s)

    store, issuer = Overtaken(), Issuer()
    tokens = AppTokens(store, issuer)
    assert tokens.renew("a", rejected="ours").token == "theirs"
    assert issuer.calls == []
    assert InMemoryTokenStore.acquire(store, "a", lease_s=1)  # the lease was given back


def test_a_token_is_renewed_ahead_and_the_old_one_serves_meanwhile() -> None:
    others_are_served = threading.Barrier(10)
    store, issuer = InMemoryTokenStore(), Issuer(before=lambda: others_are_served.wait(20))
    store.save("a", AppJWT("old", datetime.now(UTC) + timedelta(minutes=4)))
    tokens = AppTokens(store, issuer)

    def get() -> str:
        token = tokens.get("a").token
        if token == "old":
            others_are_served.wait(20)  # the tenth is the one who renews
        return token

    assert sorted(in_parallel(10, get)) == ["a-1", *["old"] * 9]
    assert len(issuer.calls) == 1
    assert tokens.get("a").token == "a-1"


def test_a_failed_renewal_ahead_of_expiry_is_not_felt() -> None:
    store, issuer = InMemoryTokenStore(), Issuer()
    store.save("a", AppJWT("old", datetime.now(UTC) + timedelta(minutes=4)))
    issuer.error = NotSent("x")
    tokens = AppTokens(store, issuer)
    assert [tokens.get("a").token for _ in range(20)] == ["old"] * 20
    assert len(issuer.calls) == 1


def test_after_a_failure_the_login_service_has_peace_for_a_while() -> None:
    clock_s = [100.0]
    issuer = Issuer()
    issuer.error = CredentialsRejected("x")
    tokens = AppTokens(InMemoryTokenStore(clock=lambda: clock_s[0]), issuer, wait_s=0.0)
    with pytest.raises(CredentialsRejected):
        tokens.get("a")
    for _ in range(5):
        with pytest.raises(NotSent):
            tokens.get("a")
    assert len(issuer.calls) == 1
    clock_s[0] += PAUSE_AFTER_FAILURE_S + 0.1
    issuer.error = None
    assert tokens.get("a").token == "a-2"


def test_a_holder_that_died_does_not_block_the_others_for_ever() -> None:
    clock_s = [100.0]
    store = InMemoryTokenStore(clock=lambda: clock_s[0])
    assert store.acquire("a", lease_s=15)
    tokens = AppTokens(store, Issuer(), wait_s=0.0)
    with pytest.raises(NotSent):
        tokens.get("a")
    clock_s[0] += 16
    assert tokens.get("a").token == "a-1"


def test_an_expired_token_is_not_handed_out() -> None:
    store = InMemoryTokenStore()
    store.save("a", AppJWT("old", datetime.now(UTC) - timedelta(seconds=1)))
    assert AppTokens(store, Issuer()).get("a").token == "a-1"
