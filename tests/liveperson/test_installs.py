"""The manifest, and the calls that store it."""

from typing import Any

import pytest

from core.errors import CredentialsRejected, RequestRejected, Unanswered
from liveperson.installs import AppInstalls, RetryByCount, RetryByTtl, build_manifest
from tests.liveperson.conftest import ACCOUNT, FakeLivePerson
from tests.liveperson.server import as_json, http

GIVEN: dict[str, Any] = {
    "client_name": "acme.sms",
    "display_name": "Acme SMS",
    "webhook_url": "https://hub.example/webhooks/liveperson/1/",
    "retry": RetryByTtl(),
}
BASE = f"/api/account/{ACCOUNT}/configuration/app-install/installations"


@pytest.fixture
def installs(liveperson: FakeLivePerson) -> AppInstalls:
    return AppInstalls(liveperson.http, liveperson.domains, ACCOUNT, "canary-bearer")


def test_all_five_kinds_of_notification_go_to_our_url() -> None:
    webhooks = build_manifest(**GIVEN)["capabilities"]["webhooks"]
    assert set(webhooks) == {
        "ms.MessagingEventNotification.ContentEvent",
        "ms.MessagingEventNotification.RichContentEvent",
        "ms.MessagingEventNotification.AcceptStatusEvent",
        "ms.MessagingEventNotification.ChatStateEvent",
        "cqm.ExConversationChangeNotification",
        "retry",
    }
    endpoints = [entry["endpoint"] for name, entry in webhooks.items() if name != "retry"]
    assert endpoints == [GIVEN["webhook_url"]] * 5
    assert webhooks["retry"] == {"retention_time": 86400}


def test_only_typing_is_not_repeated() -> None:
    for retry in (RetryByCount(), RetryByTtl()):
        webhooks = build_manifest(**(GIVEN | {"retry": retry}))["capabilities"]["webhooks"]
        retries = {name.rsplit(".", 1)[-1]: entry.get("max_retries") for name, entry in webhooks.items()}
        assert retries.pop("ChatStateEvent") == 0
        assert {value for name, value in retries.items() if name != "retry"} == {5}


def test_counting_retries_asks_for_no_retention() -> None:
    webhooks = build_manifest(**(GIVEN | {"retry": RetryByCount(3)}))["capabilities"]["webhooks"]
    assert "retry" not in webhooks
    assert webhooks["cqm.ExConversationChangeNotification"]["max_retries"] == 3


def test_the_app_is_one_that_logs_in_by_its_own_credentials() -> None:
    manifest = build_manifest(**GIVEN)
    assert (manifest["grant_types"], manifest["scope"], manifest["enabled"]) == (
        ["client_credentials"],
        "msg.consumer",
        True,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"client_name": ""},
        {"client_name": " "},
        {"client_name": "x" * 129},
        {"display_name": "x" * 129},
        {"description": "x" * 257},
        {"webhook_url": "http://hub.example/"},
        {"webhook_url": "hub.example"},
        {"webhook_url": "https://"},
        {"retry": RetryByCount(6)},
        {"retry": RetryByCount(-1)},
        {"retry": RetryByTtl(1)},
        {"retry": RetryByTtl(259_201)},
    ],
)
def test_what_liveperson_would_refuse_is_said_before(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        build_manifest(**(GIVEN | change))


def test_a_simulator_on_this_machine_may_be_given_a_plain_url() -> None:
    url = "http://127.0.0.1:8000/webhooks/liveperson/1/"
    webhooks = build_manifest(**(GIVEN | {"webhook_url": url}))["capabilities"]["webhooks"]
    assert webhooks["ms.MessagingEventNotification.ContentEvent"]["endpoint"] == url


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"installations": items}])
def test_installations_are_listed(liveperson: FakeLivePerson, installs: AppInstalls, wrap: Any) -> None:
    liveperson.answer = lambda _: as_json(wrap([{"id": "i-1"}, {"client_id": "i-2"}]))
    assert [install.id for install in installs.list()] == ["i-1", "i-2"]
    assert liveperson.last.target == f"{BASE}?v=1.0"
    assert liveperson.last.headers["authorization"] == "Bearer canary-bearer"


def test_an_installation_comes_with_its_revision_and_hides_its_secret(
    liveperson: FakeLivePerson, installs: AppInstalls
) -> None:
    liveperson.answer = lambda _: as_json({"id": "i-1", "client_secret": "canary"}, ac_revision="77")
    install = installs.get(install_id="i-1")
    assert (install.id, install.revision, install.data["client_secret"]) == ("i-1", "77", "canary")
    assert "canary" not in repr(install)
    assert liveperson.last.target == f"{BASE}/i-1?v=1.0"


def test_changes_carry_the_revision(liveperson: FakeLivePerson, installs: AppInstalls) -> None:
    manifest = build_manifest(**GIVEN)
    liveperson.answer = lambda _: as_json({"id": "i-1"}, 201, ac_revision="1")
    assert installs.create(manifest=manifest).revision == "1"
    assert (liveperson.last.method, liveperson.last.json) == ("POST", manifest)
    installs.update(install_id="i-1", manifest=manifest, revision="1")
    assert (liveperson.last.method, liveperson.last.headers["if-match"]) == ("PUT", "1")
    assert liveperson.last.headers["x-http-method-override"] == "PUT"
    liveperson.answer = lambda _: http(204)
    installs.delete(install_id="i-1", revision="2")
    assert (liveperson.last.method, liveperson.last.headers["if-match"]) == ("DELETE", "2")
    assert liveperson.last.body == b""


@pytest.mark.parametrize("install_id", ["../i", "a/b", "a?b", "a#b", "a b", "\u00e9"])
def test_an_id_cannot_lead_elsewhere(liveperson: FakeLivePerson, installs: AppInstalls, install_id: str) -> None:
    with pytest.raises(RequestRejected):
        installs.get(install_id=install_id)
    assert liveperson.requests == []


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"{}", CredentialsRejected),
        (403, b"<html>", CredentialsRejected),
        (404, b"{}", RequestRejected),
        (409, b"{}", RequestRejected),
        (412, b"{}", RequestRejected),
        (200, b"<html>", Unanswered),
        (200, b"[1]", Unanswered),
    ],
)
def test_what_goes_wrong_becomes_an_error(
    liveperson: FakeLivePerson, installs: AppInstalls, status: int, body: bytes, expected: type[Exception]
) -> None:
    liveperson.answer = lambda _: http(status, body)
    with pytest.raises(expected):
        installs.get(install_id="i-1")
    with pytest.raises(expected):
        installs.list()
