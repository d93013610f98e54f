"""What a manifest lacks, said in sentences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from liveperson.installs import RetryByTtl, build_manifest
from liveperson.manifest_check import differences, find_manifest

CLIENT_ID = "5f0f9c1e-7b1c-4b53-9f3a-2f3b1f6f3f10"
URL = "https://connectors.example.com/webhooks/liveperson/1/"
CONTENT = "ms.MessagingEventNotification.ContentEvent"
TYPING = "ms.MessagingEventNotification.ChatStateEvent"
WANTED = build_manifest(
    client_name="acme.shop", display_name="Shop", webhook_url=URL, retry=RetryByTtl(retention_s=259_200)
)


def found(change: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """The differences of the needed manifest after a change to it."""
    held: Any = copy.deepcopy(dict(WANTED))
    change(held)
    return differences(held, wanted=WANTED, client_id=CLIENT_ID)


def webhooks(held: Any) -> Any:
    return held["capabilities"]["webhooks"]


def test_what_we_handed_out_is_as_it_should_be() -> None:
    assert found(lambda held: None) == []
    assert found(lambda held: held.update(client_id=CLIENT_ID.upper(), client_secret="x", id="1")) == []


def test_a_query_of_theirs_in_the_address_does_no_harm() -> None:
    assert found(lambda held: webhooks(held)[CONTENT].update(endpoint=f"{URL}?b=a")) == []


@pytest.mark.parametrize(
    ("change", "sentence", "stops"),
    [
        (lambda held: held.update(client_id="another"), "It is of another app installation", True),
        (lambda held: held.update(enabled=False), "It is switched off", True),
        (lambda held: held.update(deleted=True), "is deleted at LivePerson", True),
        (lambda held: held.update(grant_types=["authorization_code"]), "LivePerson issues no token", True),
        (lambda held: held.update(scope="msg.agent"), "scope is msg.agent", True),
        (lambda held: held.update(capabilities={}), "It names no webhooks", True),
        (lambda held: held.update(capabilities="x"), "It names no webhooks", True),
        (lambda held: webhooks(held).pop(CONTENT), f"It does not name {CONTENT}", True),
        (lambda held: webhooks(held).pop(TYPING), f"It does not name {TYPING}", False),
        (lambda held: webhooks(held).update({CONTENT: None}), f"It does not name {CONTENT}", True),
        (lambda held: webhooks(held)[CONTENT].update(endpoint=7), f"It does not name {CONTENT}", True),
        (lambda held: webhooks(held)[CONTENT].update(endpoint=URL[:-1]), "without the slash at its end", True),
        (
            lambda held: webhooks(held)[CONTENT].update(endpoint="https://old.example.com/x?token=canary"),
            "https://old.example.com/x, which is another host",
            True,
        ),
        (
            lambda held: webhooks(held)[CONTENT].update(endpoint=URL.replace("/1/", "/2/")),
            "which is not the address of this connector",
            True,
        ),
        (lambda held: webhooks(held)[CONTENT].update(endpoint="https://[::1"), "which is no address", True),
        (lambda held: webhooks(held)[CONTENT].pop("max_retries"), "ContentEvent has no max_retries", False),
        (lambda held: webhooks(held).pop("retry"), "It repeats by number", False),
        (lambda held: webhooks(held).update(retry={"retention_time": True}), "It repeats by number", False),
        (lambda held: webhooks(held)["retry"].update(retention_time=60), "keeps notifications for 60 seconds", False),
        (
            lambda held: webhooks(held).update({"ms.MessagingEventNotification.AccpetStatusEvent": {"endpoint": URL}}),
            "AccpetStatusEvent, which is no kind of notification",
            False,
        ),
    ],
)
def test_what_differs_is_said(change: Any, sentence: str, stops: bool) -> None:
    told = found(change)
    assert any(sentence in one.what and one.stops is stops for one in told), told
    assert "canary" not in str(told)


def test_the_one_that_is_meant_is_found_in_a_list_of_several() -> None:
    ours = {"client_id": CLIENT_ID, "client_name": "ours"}
    others = [{"client_id": "other", "client_name": "theirs"}, ours, "odd"]
    assert find_manifest(others, client_id=CLIENT_ID) is ours
    assert find_manifest({"installations": others}, client_id=CLIENT_ID) is ours


@pytest.mark.parametrize("held", [[], [{"client_id": "other"}], "x", None, {}, {"a": 1}, 7])
def test_what_is_no_manifest_is_refused_with_a_sentence(held: Any) -> None:
    with pytest.raises(ValueError, match=r"manifest|client id"):
        find_manifest(held, client_id=CLIENT_ID)
