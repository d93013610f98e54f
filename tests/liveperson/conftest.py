"""A LivePerson of one server whose answers each test writes itself."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from core.http import HttpClient, OutboundPolicy
from liveperson.auth import Tokens
from liveperson.client import LivePersonClient
from liveperson.domains import DomainResolver
from tests.liveperson.server import Received, ScriptedServer, Step, as_json

ACCOUNT = "12345678"
TOKENS = Tokens(app_jwt="app.canary-jwt.sig", consumer_jws="consumer.canary-jws.sig")
SERVICES = ("asyncMessagingEnt", "sentinel", "idp", "swift", "accountConfigReadWrite")

Answer = Callable[[Received], Iterable[Step]]


def jwt(claims: Any) -> str:
    """A token with these claims; nobody here checks its signature."""
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{encoded}.c2ln"


class FakeLivePerson:
    """Answers the Domain API by itself, everything else as `answer` says."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: as_json({}, 500)
        self.server = ScriptedServer(self._play)
        self.http = HttpClient(OutboundPolicy(("liveperson.net",), allow_private=True))
        self.domains = DomainResolver(self.http, self.server.url)
        self.client = LivePersonClient(self.http, self.domains, ACCOUNT)

    @property
    def requests(self) -> list[Received]:
        """What arrived, but for the questions where services are."""
        return [request for request in self.server.requests if "/baseURI.json" not in request.path]

    @property
    def last(self) -> Received:
        return self.requests[-1]

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON; "REQID" in it stands for the id of the request."""

        def answer(request: Received) -> list[Step]:
            sent = request.json if request.body else {}
            request_id = sent.get("id") if isinstance(sent, dict) else sent[-1]["id"]
            return as_json(json.loads(json.dumps(value).replace('"REQID"', json.dumps(request_id))), status, **headers)

        self.answer = answer

    def ok(self, **body: Any) -> None:
        self.say({"code": "OK", "body": body, "reqId": "REQID"})

    def _play(self, request: Received) -> Iterable[Step]:
        if "/baseURI.json" in request.path:
            host = f"127.0.0.1:{self.server.port}"
            return as_json({"baseURIs": [{"service": name, "account": ACCOUNT, "baseURI": host} for name in SERVICES]})
        return self.answer(request)


@pytest.fixture
def liveperson() -> Iterator[FakeLivePerson]:
    fake = FakeLivePerson()
    yield fake
    fake.http.close()
    fake.server.stop()
