"""
The whole client against a LivePerson that somebody else wrote from the same documentation.

Over plain HTTP and over TLS. What is asserted is what arrived there, not what we meant to send.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core import errors as tree
from core.errors import ConnectorError
from core.http import HttpClient, OutboundPolicy
from liveperson.auth import AppJWT, AppTokens, InMemoryTokenStore, Tokens, fetch_app_jwt, fetch_consumer_jws
from liveperson.client import ConsumerProfile, LivePersonClient, message_fits, split_text
from liveperson.domains import DomainResolver
from liveperson.files import TemporaryUrl
from liveperson.installs import AppInstalls, RetryByCount, RetryByTtl, build_manifest
from tests.stack import free_ports

ROOT = Path(__file__).resolve().parents[2]
POLICY = OutboundPolicy(("liveperson.net",), allow_private=True)
PNG = bytes.fromhex("89504e470d0a1a0a") + os.urandom(50_000)


@dataclass
class Site:
    """A simulator process, and a client that is pointed at it."""

    url: str
    http: HttpClient
    account: str = field(default_factory=lambda: str(uuid.uuid4().int)[:10])

    def __post_init__(self) -> None:
        self.control_http = HttpClient(OutboundPolicy(None, allow_private=True), tls=self.http._tls)
        self.domains = DomainResolver(self.http, self.url)
        self.client = LivePersonClient(self.http, self.domains, self.account)
        installed = self.control("POST", f"accounts/{self.account}/installs", {})
        self.client_id, self.secret = installed["client_id"], installed["client_secret"]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.control_http.request(method, f"{self.url}/_simulator/{path}", json=body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def break_next(self, **rule: Any) -> None:
        self.control("PUT", "faults", [{"times": 1, "account": self.account, **rule}])

    def login(self, secret: str = "") -> AppJWT:
        return fetch_app_jwt(
            http=self.http,
            domains=self.domains,
            account_id=self.account,
            client_id=self.client_id,
            client_secret=secret or self.secret,
        )

    def tokens(self, ext_consumer_id: str = "sms:+15550100") -> Tokens:
        app_jwt = self.login().token
        jws = fetch_consumer_jws(
            http=self.http,
            domains=self.domains,
            account_id=self.account,
            app_jwt=app_jwt,
            ext_consumer_id=ext_consumer_id,
        )
        return Tokens(app_jwt=app_jwt, consumer_jws=jws.token)

    def open(self, tokens: Tokens, **options: Any) -> str:
        ids = (fresh_id(), fresh_id())
        return self.client.open_conversation(tokens=tokens, request_ids=ids, **options).lp_conversation_id

    def conversation(self, conversation_id: str) -> dict[str, Any]:
        return self.control("GET", f"accounts/{self.account}/conversations/{conversation_id}")

    def agent(self, conversation_id: str, do: str, **members: Any) -> Any:
        return self.control(
            "POST", f"accounts/{self.account}/conversations/{conversation_id}/agent", {"do": do, **members}
        )


def fresh_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    data_dir = tmp_path_factory.mktemp("simulator")
    port, tls_port = free_ports(2)
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--tls-port", str(tls_port)]
    running = subprocess.Popen(
        [*command, "--data-dir", str(data_dir)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert "READY" in running.stdout.readline()
        yield {
            "http": f"http://127.0.0.1:{port}",
            "https": f"https://127.0.0.1:{tls_port}",
            "authority": str(data_dir / "tls" / "ca.pem"),
        }
    finally:
        running.terminate()
        running.wait(10)
        running.stdout.close()


@pytest.fixture(params=["http", "https"])
def site(process: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Site]:
    tls = ssl.create_default_context(cafile=process["authority"])
    found = Site(process[request.param], HttpClient(POLICY, tls=tls))
    yield found
    found.control("DELETE", "faults")
    found.http.close()
    found.control_http.close()


@pytest.fixture
def tokens(site: Site) -> Tokens:
    return site.tokens()


@pytest.fixture
def conversation_id(site: Site, tokens: Tokens) -> str:
    return site.open(tokens)


@pytest.fixture
def where(tokens: Tokens, conversation_id: str) -> dict[str, Any]:
    return {"tokens": tokens, "conversation_id": conversation_id, "dialog_id": conversation_id}


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_an_app_jwt_holds_for_an_hour(site: Site) -> None:
    token = site.login()
    assert timedelta(minutes=59) < token.expires_at - datetime.now(UTC) <= timedelta(minutes=60, seconds=1)
    assert not token.needs_renewal(datetime.now(UTC))


def test_a_wrong_secret_is_told_from_a_passing_trouble(site: Site) -> None:
    with pytest.raises(tree.CredentialsRejected) as caught:
        site.login("wrong-canary")
    assert "canary" not in f"{caught.value} {vars(caught.value)}"
    site.break_next(on="token", do="status", status=500)
    with pytest.raises(tree.NotSent):
        site.login()


def test_the_same_consumer_has_the_same_id_and_another_has_another(site: Site) -> None:
    app_jwt = site.login().token

    def identity(ext_consumer_id: str) -> str:
        return fetch_consumer_jws(
            http=site.http,
            domains=site.domains,
            account_id=site.account,
            app_jwt=app_jwt,
            ext_consumer_id=ext_consumer_id,
        ).lp_consumer_id

    assert len(identity("sms:1")) == 64
    assert identity("sms:1") == identity("sms:1") != identity("sms:2")


def test_an_app_jwt_that_liveperson_rejects_is_renewed_once_for_all(site: Site) -> None:
    store = InMemoryTokenStore()
    store.save("i", AppJWT("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", datetime.now(UTC) + timedelta(hours=1)))
    renewals: list[str] = []
    app_tokens = AppTokens(store, lambda key: renewals.append(key) or site.login())
    jws = site.tokens().consumer_jws

    token = app_tokens.get("i").token

    def rejected_then_renewed(_: int) -> str:
        with pytest.raises(tree.TokenExpired) as caught:
            site.open(Tokens(token, jws))
        assert caught.value.provider_code == "40102"
        return app_tokens.renew("i", rejected=token).token

    with ThreadPoolExecutor(8) as pool:
        renewed = set(pool.map(rejected_then_renewed, range(8)))
    assert len(renewed) == 1
    assert site.open(Tokens(renewed.pop(), jws))
    assert renewals == ["i"]


def test_a_consumer_jws_that_liveperson_rejects_says_so(site: Site, tokens: Tokens) -> None:
    with pytest.raises(tree.TokenExpired) as caught:
        site.open(Tokens(tokens.app_jwt, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"))
    assert caught.value.provider_code == "40103"


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_conversation_is_opened_with_profile_and_routing(site: Site, tokens: Tokens) -> None:
    conversation_id = site.open(
        tokens,
        profile=ConsumerProfile(first_name="Ada", last_name="Nwosu", ctype="gold", mail="ada@example.test"),
        campaign_id="3001",
        engagement_id="3002",
        skill_id="77",
        ttr="URGENT",
    )
    found = site.conversation(conversation_id)
    assert (found["state"], found["stage"], found["skillId"]) == ("OPEN", "OPEN", "77")
    assert found["consumer"]["ext_consumer_id"] == "sms:+15550100"
    assert found["campaignInfo"] == {"campaignId": "3001", "engagementId": "3002"}
    assert found["ttr"]["ttrType"] == "URGENT"
    assert found["features"] == ["AUTO_MESSAGES", "RICH_CONTENT", "QUICK_REPLIES", "MULTI_DIALOG"]
    assert found["profile"]["firstName"] == "Ada"
    assert {sde["type"] for sde in found["profile"]["authenticatedData"]["lp_sdes"]} == {"ctmrinfo", "personal"}


@pytest.mark.parametrize("status", [200, 400])
def test_a_second_conversation_of_a_consumer_is_refused(site: Site, tokens: Tokens, status: int) -> None:
    site.control("PATCH", f"accounts/{site.account}", {"already_open_status": status})
    site.open(tokens)
    with pytest.raises(tree.ConversationAlreadyOpen):
        site.open(tokens)


# --- publishing ------------------------------------------------------------------------------------------------------


def test_texts_arrive_as_they_were_written(site: Site, where: dict[str, Any]) -> None:
    texts = ["Grüße 👋", "two\nlines", '"quoted" \\ back', "\u2028 \x7f", "漢字" * 500]
    sequences = [site.client.publish_text(text=text, request_id=fresh_id(), **where).sequence for text in texts]
    events = site.conversation(where["conversation_id"])["events"]
    assert [event["text"] for event in events] == texts
    assert [event["sequence"] for event in events] == sequences == [0, 1, 2, 3, 4]
    assert {event["role"] for event in events} == {"CONSUMER"}


@pytest.mark.parametrize("seed", ["word ", "x", '"', "👋🏽", "漢", "\n."])
def test_a_long_text_arrives_whole_in_parts_that_fit(site: Site, where: dict[str, Any], seed: str) -> None:
    text = seed * (12_000 // len(seed))
    metadata = [{"type": "ExternalId", "id": "btn-42"}]
    parts = split_text(text=text, metadata=metadata)
    assert len(parts) > 1
    for part in parts:
        site.client.publish_text(text=part, request_id="r" * 64, metadata=metadata, **where)
    events = site.conversation(where["conversation_id"])["events"]
    assert "".join(event["text"] for event in events) == text


def test_what_does_not_fit_is_rejected_there_too(site: Site, where: dict[str, Any]) -> None:
    text = "x" * 5000
    assert not message_fits(text=text)
    with pytest.raises(tree.RequestRejected) as caught:
        site.client.publish_text(text=text, request_id=fresh_id(), **where)
    assert (caught.value.http_status, caught.value.provider_code) == (400, "BAD_REQUEST")


def test_a_button_is_pressed_with_two_requests(site: Site, where: dict[str, Any]) -> None:
    site.agent(where["conversation_id"], "join")
    site.agent(where["conversation_id"], "say", text="Redeliver?")
    asked = site.conversation(where["conversation_id"])["events"][-1]
    metadata = [{"type": "ExternalId", "id": "btn-42"}]
    receipt = site.client.publish_accept_status(
        status="ACTION", sequences=[asked["sequence"]], metadata=metadata, request_id=fresh_id(), **where
    )
    answer = site.client.publish_text(text="Yes please", metadata=metadata, request_id=fresh_id(), **where)
    events = {event["sequence"]: event for event in site.conversation(where["conversation_id"])["events"]}
    assert events[receipt.sequence]["status"] == "ACTION"
    assert events[receipt.sequence]["sequenceList"] == [asked["sequence"]]
    assert events[answer.sequence]["metadata"] == events[receipt.sequence]["metadata"] == metadata


@pytest.mark.parametrize("status", ["ACCEPT", "READ", "NACK", "ACCESS"])
def test_receipts_take_a_sequence_of_their_own(site: Site, where: dict[str, Any], status: str) -> None:
    site.agent(where["conversation_id"], "join")
    site.agent(where["conversation_id"], "say", text="one")
    site.agent(where["conversation_id"], "say", text="two")
    said = [event["sequence"] for event in site.conversation(where["conversation_id"])["events"]]
    accepted = site.client.publish_accept_status(status=status, sequences=said, request_id=fresh_id(), **where)
    last = site.conversation(where["conversation_id"])["events"][-1]
    assert (last["type"], last["status"], last["sequenceList"]) == ("AcceptStatusEvent", status, said)
    assert last["sequence"] == accepted.sequence == max(said) + 1


@pytest.mark.parametrize("chat_state", ["ACTIVE", "INACTIVE", "GONE", "COMPOSING", "PAUSE"])
def test_chat_states_are_not_stored(site: Site, where: dict[str, Any], chat_state: str) -> None:
    accepted = site.client.publish_chat_state(chat_state=chat_state, request_id=fresh_id(), **where)
    found = site.conversation(where["conversation_id"])
    assert accepted.sequence == 0
    assert found["events"] == []
    assert found["chatStates"] == {"CONSUMER": chat_state}


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_goes_up_is_shown_and_comes_down_again(site: Site, where: dict[str, Any], tokens: Tokens) -> None:
    place = site.client.request_upload_url(tokens=tokens, request_id=fresh_id(), file_size=len(PNG), file_type="PNG")
    site.client.upload(place, PNG, content_type="image/png")
    site.client.publish_file(
        relative_path=place.relative_path, file_type="PNG", caption="receipt", request_id=fresh_id(), **where
    )
    shown = site.conversation(where["conversation_id"])["events"][-1]
    assert (shown["contentType"], shown["text"]) == ("hosted/file", "receipt")
    assert shown["file"]["relativePath"] == place.relative_path
    found = site.client.request_download_url(
        tokens=tokens, request_id=fresh_id(), relative_path=shown["file"]["relativePath"]
    )
    assert site.client.download(found, max_bytes=len(PNG)) == PNG
    with pytest.raises(tree.RequestRejected):
        site.client.download(found, max_bytes=len(PNG) - 1)


def test_an_agents_file_comes_down(site: Site, where: dict[str, Any], tokens: Tokens) -> None:
    site.agent(where["conversation_id"], "join")
    site.agent(where["conversation_id"], "file", text="label")
    sent = site.conversation(where["conversation_id"])["events"][-1]["file"]
    url = site.client.request_download_url(tokens=tokens, request_id=fresh_id(), relative_path=sent["relativePath"])
    assert len(site.client.download(url)) > 20


def test_a_temporary_url_with_a_wrong_signature_does_not_pause_the_installation(site: Site, tokens: Tokens) -> None:
    place = site.client.request_upload_url(tokens=tokens, request_id=fresh_id(), file_size=3, file_type="PNG")
    forged = TemporaryUrl(place.relative_path, place.query | {"temp_url_sig": "0" * 40})
    with pytest.raises(tree.NotSent):
        site.client.upload(forged, b"abc")


@pytest.mark.parametrize(("file_size", "file_type"), [(10, "EXE"), (100 << 20, "PNG")])
def test_a_file_that_the_account_does_not_take_is_rejected(
    site: Site, tokens: Tokens, file_size: int, file_type: str
) -> None:
    with pytest.raises(tree.RequestRejected):
        site.client.request_upload_url(tokens=tokens, request_id=fresh_id(), file_size=file_size, file_type=file_type)


# --- changes and closing ---------------------------------------------------------------------------------------------


def test_profile_ttr_and_csat_arrive(site: Site, tokens: Tokens, conversation_id: str) -> None:
    site.client.update_profile(tokens=tokens, request_id=fresh_id(), profile=ConsumerProfile(ctype="platinum"))
    site.client.set_ttr(
        tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id, ttr="URGENT", value_s=300
    )
    found = site.conversation(conversation_id)
    assert found["ttr"] == {"ttrType": "URGENT", "value": 300}
    assert found["profile"]["authenticatedData"]["lp_sdes"] == [{"type": "ctmrinfo", "info": {"ctype": "platinum"}}]
    site.client.close_stage(tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id)
    site.client.submit_csat(
        tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id, rate=4, resolved=True
    )
    assert site.conversation(conversation_id)["csat"] == {
        "csatRate": 4,
        "csatResolutionConfirmation": True,
        "status": "FILLED",
    }


def test_closing_leads_to_the_survey_unless_the_stage_is_closed(site: Site, tokens: Tokens) -> None:
    site.control("PATCH", f"accounts/{site.account}", {"survey": True})

    def closed_by(close: str, **more: Any) -> tuple[str, str]:
        conversation_id = site.open(tokens)
        site.agent(conversation_id, "join")
        more = dict.fromkeys(more, conversation_id)
        getattr(site.client, close)(tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id, **more)
        found = site.conversation(conversation_id)
        if found["stage"] == "OPEN":
            site.client.close_stage(tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id)
        return found["state"], found["stage"]

    assert closed_by("close_stage") == ("CLOSE", "CLOSE")
    assert closed_by("close_conversation") == ("CLOSE", "OPEN")
    assert closed_by("close_dialog", dialog_id=True) == ("CLOSE", "OPEN")


def test_a_survey_is_answered_and_left_in_its_own_dialog(site: Site, tokens: Tokens) -> None:
    site.control("PATCH", f"accounts/{site.account}", {"survey": True})
    conversation_id = site.open(tokens)
    site.agent(conversation_id, "join")
    site.client.close_conversation(tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id)
    survey = next(
        dialog["dialogId"]
        for dialog in site.conversation(conversation_id)["dialogs"]
        if dialog["dialogType"] == "POST_SURVEY"
    )
    accepted = site.client.publish_text(
        tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id, dialog_id=survey, text="5"
    )
    events = site.conversation(conversation_id)["events"]
    assert (survey, accepted.sequence, "CONSUMER") in {(e["dialogId"], e["sequence"], e["role"]) for e in events}
    site.client.close_dialog(tokens=tokens, request_id=fresh_id(), conversation_id=conversation_id, dialog_id=survey)
    assert site.conversation(conversation_id)["stage"] == "CLOSE"


def test_into_a_closed_conversation_nothing_can_be_said(site: Site, where: dict[str, Any]) -> None:
    site.agent(where["conversation_id"], "join")
    site.agent(where["conversation_id"], "close")
    with pytest.raises(tree.ConversationClosed):
        site.client.publish_text(text="hello?", request_id=fresh_id(), **where)


def test_a_conversation_of_another_consumer_is_not_ours(site: Site, where: dict[str, Any]) -> None:
    other = site.tokens("sms:+15550199")
    with pytest.raises(tree.RequestRejected):
        site.client.publish_text(text="hi", request_id=fresh_id(), **(where | {"tokens": other}))


# --- trouble ---------------------------------------------------------------------------------------------------------

TROUBLES: list[tuple[dict[str, Any], type[ConnectorError]]] = [
    ({"do": "status", "status": 401}, tree.TokenExpired),
    ({"do": "status", "status": 429}, tree.RateLimited),
    ({"do": "status", "status": 429, "headers": {"Retry-After": "7"}}, tree.RateLimited),
    ({"do": "status", "status": 503, "headers": {"Retry-After": "7"}}, tree.RateLimited),
    ({"do": "status", "status": 503}, tree.Refused),
    ({"do": "status", "status": 500}, tree.Refused),
    ({"do": "status", "status": 400}, tree.RequestRejected),
    ({"do": "status", "status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, tree.RequestRejected),
    ({"do": "lose_answer"}, tree.Unanswered),
    ({"do": "reset"}, tree.Unanswered),
    ({"do": "garbage"}, tree.Unanswered),
]


@pytest.mark.parametrize(("rule", "expected"), TROUBLES, ids=str)
def test_trouble_becomes_the_error_that_it_is(
    site: Site, where: dict[str, Any], rule: dict[str, Any], expected: type[ConnectorError]
) -> None:
    site.break_next(on="send", **rule)
    with pytest.raises(ConnectorError) as caught:
        site.client.publish_text(text="canary-text", request_id=fresh_id(), **where)
    assert type(caught.value) is expected
    assert "canary" not in f"{caught.value} {vars(caught.value)}"
    if "headers" in rule and isinstance(caught.value, tree.RateLimited):
        assert caught.value.retry_after_s == 7
    # One fault, one request: nothing was repeated, and the next goes through.
    assert site.client.publish_text(text="again", request_id=fresh_id(), **where)
    texts = [event["text"] for event in site.conversation(where["conversation_id"])["events"]]
    assert texts in (["again"], ["canary-text", "again"])


def test_a_lost_answer_is_in_doubt_because_the_text_may_be_there(site: Site, where: dict[str, Any]) -> None:
    site.break_next(on="send", do="lose_answer")
    with pytest.raises(tree.Unanswered):
        site.client.publish_text(text="once", request_id=fresh_id(), **where)
    assert [event["text"] for event in site.conversation(where["conversation_id"])["events"]] == ["once"]


def test_while_the_domain_api_is_in_trouble_what_is_known_is_used(site: Site, where: dict[str, Any]) -> None:
    site.break_next(on="domain", do="status", status=500, times=50)
    site.domains.forget(site.account)
    assert site.client.publish_text(text="hi", request_id=fresh_id(), **where).sequence == 0


# --- app installations -----------------------------------------------------------------------------------------------


def test_an_installation_is_made_read_changed_and_deleted(site: Site) -> None:
    installs = AppInstalls(site.http, site.domains, site.account, "admin-session")
    manifest = build_manifest(
        client_name="acme.sms",
        display_name="Acme SMS",
        webhook_url="http://127.0.0.1:8000/webhooks/liveperson/1/",
        retry=RetryByTtl(3600),
    )
    made = installs.create(manifest=manifest)
    assert made.data["client_secret"]
    assert made.id in {install.id for install in installs.list()}
    read = installs.get(install_id=made.id)
    assert read.data["capabilities"] == manifest["capabilities"]
    changed = build_manifest(
        client_name="acme.sms",
        display_name="Acme",
        webhook_url="https://hub.example/wh/",
        retry=RetryByCount(2),
        enabled=False,
    )
    updated = installs.update(install_id=made.id, manifest=changed, revision=read.revision)
    assert (updated.data["display_name"], updated.data["enabled"]) == ("Acme", False)
    with pytest.raises(tree.RequestRejected) as caught:
        installs.delete(install_id=made.id, revision=read.revision)
    assert caught.value.http_status == 412
    installs.delete(install_id=made.id, revision=installs.get(install_id=made.id).revision)
    with pytest.raises(tree.RequestRejected):
        installs.get(install_id=made.id)
