"""
A LivePerson of one process that does what it is told to do next: takes a request, refuses it, or takes it and loses the
answer. It remembers what it took, in order, and holds its notifications until somebody delivers them.

Real HTTP over loopback; shares no code with the client. For everything beyond what the machine needs there is the
simulator.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.conversations import notifications
from tests.liveperson.server import RESET, Received, ScriptedServer, Step, as_json, http

SERVICES = ("asyncMessagingEnt", "sentinel", "idp", "swift", "accountConfigReadWrite")
AGENT = notifications.AGENT

# What may become of a request about a consumer. LOST and LATE look the same from outside; so do REFUSED and TAKEN_500.
TAKEN, LOST, LATE = "taken", "lost before it was taken", "taken, the answer lost"
REFUSED, TAKEN_500, GARBAGE = "refused with 500", "taken, answered 500", "taken, answered HTML"
THROTTLED, UNAVAILABLE, REJECTED = "429", "503 with Retry-After", "400"
FATES = (TAKEN, LOST, LATE, REFUSED, TAKEN_500, GARBAGE, THROTTLED, UNAVAILABLE, REJECTED)
_NOT_TAKEN = {
    LOST: [RESET],
    REFUSED: http(500, b"oops"),
    THROTTLED: http(429, b"slow down"),
    UNAVAILABLE: http(503, b"later", Retry_After="7"),
}
_BAD_ANSWER = {LATE: [RESET], TAKEN_500: http(500, b"oops"), GARBAGE: http(200, b"<html>200</html>")}


@dataclass
class Talk:
    """One conversation; its main dialog has the same id."""

    id: str
    consumer: str
    is_open: bool = True
    events: list[dict[str, Any]] = field(default_factory=list)
    changes: int = 0

    @property
    def next_sequence(self) -> int:
        return len(self.events)


@dataclass(frozen=True)
class Notice:
    """A notification that waits to be delivered. echo_of, said: the words in it, the consumer's or an agent's."""

    body: bytes
    echo_of: str = ""
    said: str = ""
    talk: str = ""
    sequence: int = -1


class LivePerson:
    """One account of it. Consumers are named by their ext_consumer_id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.server = ScriptedServer(self._play)
        self.forget()

    def forget(self, *, client_id: str = "") -> None:
        """Begin anew. client_id: which app installation opens the conversations."""
        with self._lock:
            self.client_id = client_id
            self.talks: dict[str, Talk] = {}
            self.taken: dict[str, list[str]] = defaultdict(list)
            self.fates: dict[str, deque[str]] = defaultdict(deque)
            self.notices: list[Notice] = []
            self.generation = 1
            self.closed_by_us = 0

    # --- what agents and time do there

    def open_talk(self, consumer: str) -> Talk | None:
        found = [talk for talk in self.talks.values() if talk.consumer == consumer and talk.is_open]
        return found[0] if found else None

    def agent_says(self, consumer: str, text: str) -> bool:
        """False when the consumer has no open conversation."""
        with self._lock:
            talk = self.open_talk(consumer)
            if talk is None:
                return False
            sequence = self._keep(talk, text)
            body = notifications.notification(notifications.said(talk.id, sequence, text))
            self.notices.append(Notice(body, said=text, talk=talk.id, sequence=sequence))
            return True

    def agent_reads(self, consumer: str) -> bool:
        with self._lock:
            talk = self.open_talk(consumer)
            if talk is None or not talk.events:
                return False
            upto = range(talk.next_sequence)
            sequence = self._keep(talk, "")
            body = notifications.notification(notifications.receipt(talk.id, sequence, "READ", *upto))
            self.notices.append(Notice(body))
            return True

    def close(self, consumer: str) -> bool:
        with self._lock:
            talk = self.open_talk(consumer)
            if talk is None:
                return False
            talk.is_open = False
            self._tell(talk)
            return True

    def expire_tokens(self) -> None:
        """Every AppJWT issued so far is refused from now on."""
        self.generation += 1

    # --- what is asked of it

    def _play(self, request: Received) -> Iterable[Step]:
        if "/baseURI.json" in request.path:
            host = f"127.0.0.1:{self.server.port}"
            return as_json({"baseURIs": [{"service": name, "account": "1", "baseURI": host} for name in SERVICES]})
        with self._lock:
            if request.path.endswith("/app/token"):
                now = int(time.time())
                token = _jwt({"iat": now, "exp": now + 3600, "generation": self.generation})
                return as_json({"access_token": token, "expires_in": 3600})
            if _claims(request.headers["authorization"])["generation"] < self.generation:
                return as_json({"code": 401, "body": {"title": "Invalid AppJWT", "errorCode": 40102}}, 401)
            if request.path.endswith("/consumer"):
                consumer = request.json["ext_consumer_id"]
                return as_json({"token": _jwt({"lp_consumer_id": f"lp-{consumer}", "ext": consumer})})
            consumer = _claims(request.headers["x-lp-on-behalf"])["ext"]
            fate = self.fates[consumer].popleft() if self.fates[consumer] else TAKEN
            if fate in _NOT_TAKEN:
                return _NOT_TAKEN[fate]
            opens = request.path.endswith("/consumer/conversation")
            if fate == REJECTED:
                request_id = request.json[-1]["id"] if opens else request.json["id"]
                return as_json(_no(request_id, "Bad Request"), 400)
            answer = self._open(consumer, request.json) if opens else self._send(consumer, request.json)
            return _BAD_ANSWER.get(fate, answer)

    def _open(self, consumer: str, batch: list[dict[str, Any]]) -> list[Step]:
        profile = {"code": "OK", "body": {"msg": "OK"}, "reqId": batch[0]["id"]}
        if self.open_talk(consumer) is not None:
            text = f"Consumer request conversation failed: User {consumer} already has open conversation."
            return as_json([profile, _no(batch[1]["id"], text)], 400)
        talk = Talk(f"talk-{len(self.talks)}-{consumer}", consumer)
        self.talks[talk.id] = talk
        self._tell(talk)
        return as_json([profile, {"code": "OK", "body": {"conversationId": talk.id}, "reqId": batch[1]["id"]}])

    def _send(self, consumer: str, asked: dict[str, Any]) -> list[Step]:
        if asked["type"] == "userprofile.SetUserProfile":
            return as_json({"code": "OK", "body": {}, "reqId": asked["id"]})
        talk = self.talks.get(asked["body"].get("conversationId", ""))
        if talk is None:
            return as_json(_no(asked["id"], "Bad Request, there is no such conversation"), 400)
        assert talk.consumer == consumer, "sent into somebody else's conversation"
        if not talk.is_open:
            return as_json(_no(asked["id"], "Bad Request, Conversation is close"), 400)
        if asked["type"] == "cm.UpdateConversationField":
            talk.is_open = False
            self.closed_by_us += 1
            self._tell(talk)
            return as_json({"code": "OK", "body": {}, "reqId": asked["id"]})
        event = asked["body"]["event"]
        if event["type"] == "ChatStateEvent":
            return as_json({"code": "OK", "body": {}, "reqId": asked["id"]})
        sequence = self._keep(talk, event.get("message", ""))
        if event["type"] == "ContentEvent":
            self.taken[consumer].append(event["message"])
            said = notifications.said(talk.id, sequence, event["message"], role="CONSUMER", who=f"lp-{consumer}")
            self.notices.append(Notice(notifications.notification(said), echo_of=event["message"]))
        return as_json({"code": "OK", "body": {"sequence": sequence}, "reqId": asked["id"]})

    def _keep(self, talk: Talk, text: str) -> int:
        talk.events.append({"sequence": talk.next_sequence, "text": text})
        return talk.next_sequence - 1

    def _tell(self, talk: Talk) -> None:
        talk.changes += 1
        state = "OPEN" if talk.is_open else "CLOSE"
        change = notifications.changed(
            talk.id,
            consumer=f"lp-{talk.consumer}",
            at=talk.changes,
            state=state,
            stage=state,
            client_id=self.client_id,
        )
        self.notices.append(Notice(notifications.conversation_notification(change), talk=talk.id))


def _no(request_id: str, text: str) -> dict[str, Any]:
    return {"code": "BAD_REQUEST", "body": {"msg": text}, "reqId": request_id}


def _jwt(claims: dict[str, Any]) -> str:
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{encoded}.c2ln"


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
