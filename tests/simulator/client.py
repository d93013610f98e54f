"""A LivePerson client in a few lines, written from LivePerson's pages for these tests alone."""

import json
import time
from typing import Any

import requests

EVENTS = (
    "cqm.ExConversationChangeNotification",
    "ms.MessagingEventNotification.ContentEvent",
    "ms.MessagingEventNotification.RichContentEvent",
    "ms.MessagingEventNotification.AcceptStatusEvent",
    "ms.MessagingEventNotification.ChatStateEvent",
)


def manifest(endpoint: str, **entry: Any) -> dict[str, Any]:
    return {"capabilities": {"webhooks": {key: {"endpoint": endpoint, **entry} for key in EVENTS}}}


class Simulator:
    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def control(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        answer = self.http.request(method, f"{self.url}/_simulator/{path}", json=body, timeout=10)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def install(self, account: str, body: dict[str, Any] | None = None) -> dict[str, str]:
        return self.control("POST", f"accounts/{account}/installs", body or {})

    def connector(self, account: str = "12345678", *, body: dict[str, Any] | None = None) -> "Connector":
        return Connector(self, account, self.install(account, body))

    def webhooks(self) -> list[dict[str, Any]]:
        return self.control("GET", "webhooks")["webhooks"]

    def settled(self, *, within_s: float = 30) -> list[dict[str, Any]]:
        """Wait until no notification is on its way and return the log."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            entries = self.webhooks()
            if all(one["state"] != "waiting" for one in entries):
                return entries
            time.sleep(0.02)
        raise AssertionError("notifications are still on their way")


class Connector:
    """One app install that speaks for consumers."""

    def __init__(self, simulator: Simulator, account: str, credentials: dict[str, str]) -> None:
        self.simulator = simulator
        self.account = account
        self.client_id, self.client_secret = credentials["client_id"], credentials["client_secret"]
        self.features = ["AUTO_MESSAGES", "RICH_CONTENT", "QUICK_REPLIES", "MULTI_DIALOG"]
        self.app_jwt = self.token().json()["access_token"]
        self.consumers: dict[str, str] = {}

    def token(self, **members: Any) -> requests.Response:
        form = {"client_id": self.client_id, "client_secret": self.client_secret, **members}
        return self.simulator.http.post(
            f"{self.simulator.url}/sentinel/api/account/{self.account}/app/token",
            params={"v": "1.0", "grant_type": "client_credentials"},
            data=form,
            timeout=10,
        )

    def consumer(self, ext_id: str = "sms:+15550100") -> str:
        if ext_id not in self.consumers:
            answer = self.simulator.http.post(
                f"{self.simulator.url}/api/account/{self.account}/consumer",
                params={"v": "1.0"},
                json={"ext_consumer_id": ext_id},
                headers={"Authorization": self.app_jwt},
                timeout=10,
            )
            assert answer.status_code == 201, answer.text
            self.consumers[ext_id] = answer.json()["token"]
        return self.consumers[ext_id]

    def call(
        self, path: str, body: Any, *, ext_id: str = "sms:+15550100", headers: dict[str, Any] | None = None,
        timeout: float = 10,
    ) -> requests.Response:  # fmt: skip
        properties = json.dumps({"type": ".ClientProperties", "features": self.features})
        sent = {"Authorization": self.app_jwt, "X-LP-ON-BEHALF": self.consumer(ext_id), "Client-Properties": properties}
        return self.simulator.http.post(
            f"{self.simulator.url}/api/account/{self.account}/messaging/consumer/{path}",
            params={"v": "3"},
            data=json.dumps(body) if not isinstance(body, bytes) else body,
            headers={"Content-Type": "application/json", **sent, **(headers or {})},
            timeout=timeout,
        )

    def batch(self, *, profile: dict[str, Any] | None = None, **opening: Any) -> list[dict[str, Any]]:
        wanted = {"brandId": self.account, **opening}
        return [
            {"kind": "req", "id": "1,", "type": "userprofile.SetUserProfile", "body": profile or {}},
            {"kind": "req", "id": "2,", "type": "cm.ConsumerRequestConversation", "body": wanted},
        ]

    def open(self, *, ext_id: str = "sms:+15550100", **opening: Any) -> str:
        answer = self.call("conversation", self.batch(**opening), ext_id=ext_id)
        assert answer.status_code == 200, answer.text
        return answer.json()[1]["body"]["conversationId"]

    def send(self, kind: str, body: dict[str, Any], *, ext_id: str = "sms:+15550100", **more: Any) -> requests.Response:
        request = {"kind": "req", "id": "7", "type": kind, "body": body, **more}
        return self.call("conversation/send", request, ext_id=ext_id)

    def publish(
        self, conversation: str, event: dict[str, Any], *, dialog: str | None = None, ext_id: str = "sms:+15550100",
        **more: Any,
    ) -> requests.Response:  # fmt: skip
        body = {"dialogId": dialog or conversation, "conversationId": conversation, "event": event}
        return self.send("ms.PublishEvent", body, ext_id=ext_id, **more)

    def text(
        self, conversation: str, text: str, *, dialog: str | None = None, ext_id: str = "sms:+15550100", **more: Any
    ) -> requests.Response:
        event = {"type": "ContentEvent", "contentType": "text/plain", "message": text}
        return self.publish(conversation, event, dialog=dialog, ext_id=ext_id, **more)

    def agent(self, conversation: str, do: str, *, expect: int = 200, **members: Any) -> Any:
        path = f"accounts/{self.account}/conversations/{conversation}/agent"
        return self.simulator.control("POST", path, {"do": do, **members}, expect=expect)

    def read(self, conversation: str) -> dict[str, Any]:
        return self.simulator.control("GET", f"accounts/{self.account}/conversations/{conversation}")
