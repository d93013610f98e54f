"""What programs reach, in every role: keys, signed webhooks, links to files. None opens anything of another brand."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.core.signing import Signer
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from adapters import standard_webhooks
from adapters.base import Secret
from audit.models import AuditEntry
from connector_site.invariants import all_invariants, check
from conversations.media import link_to
from core.ids import new_id
from tests.access.matrix import LOOKING, Part, Stage, shape_of, state_of, state_of_everything, told_by, undone
from tests.access.pages import RULED, is_sent_to_sign_in
from tests.access.route_rules import Rule, Ruled
from tests.conversations import notifications
from tests.factories import World
from tests.webhooks.work import apply_all
from webhooks.models import Delivery
from webhooks.sources import forget_sources

pytestmark = pytest.mark.django_db

OF_API = [one for one in RULED if one.rule in (Rule.API_LIST, Rule.API_ROW)]


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_open_the_rows_of_their_owners_brands(stage):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in OF_API:
            if ruled.rule is Rule.API_LIST:
                ask_list(stage, part, ruled)
            else:
                ask_row(stage, part, ruled)
    assert state_of_everything() == before


def is_of_the_stage(row: dict[str, Any]) -> bool:
    """Whether an entry of the trail tells of the people of the stage, not of the brands' own rows."""
    action = row.get("action", "")
    return action in LOOKING or action.startswith("api_key.") or row.get("brand", "") is None


def ask_list(stage: Stage, part: Part, ruled: Ruled) -> None:
    url = ruled.route.url()
    answer = stage.ask(part, "get", url, {"page_size": 500}, by_key=True)
    if part.user is None:
        assert answer.status_code == 401
        return
    found = {row["id"] for row in answer.json()["results"] if not is_of_the_stage(row)}
    wanted = {str(row.pk) for world in part.sees for row in world.rows if type(row) is ruled.model}
    assert found == wanted, (part.name, url)
    for world in stage.worlds:
        for name, row in (("brand", world.brand), ("account", world.account), ("channel", world.channel)):
            narrowed = stage.ask(part, "get", url, {name: str(row.pk)}, by_key=True)
            if narrowed.status_code == 200:
                assert bool(narrowed.json()["results"]) == (world in part.sees), (part.name, url, name)


def test_exports_hold_the_rows_of_their_owners_brands(stage):
    for ruled in RULED:
        if ruled.rule is Rule.API_EXPORT:
            for part in stage.parts:
                ask_export(stage, part, ruled)


def ask_export(stage: Stage, part: Part, ruled: Ruled) -> None:
    url = ruled.route.url()
    if part.user is None:
        assert stage.ask(part, "get", url, by_key=True).status_code == 401
        assert stage.ask(part, "post", url, {}, by_key=True, content_type="application/json").status_code == 401
        return
    assert stage.ask(part, "post", url, {}, by_key=True, content_type="application/json").status_code == 405
    with undone():
        found = rows_of(stage, part, url)
        told = list(AuditEntry.objects.filter(action__startswith="export.").values_list("brand_id", flat=True))
        assert sorted(told) == sorted(world.brand.pk for world in part.sees for _ in range(2)), (part.name, url)
        wanted = {str(row.pk) for world in part.sees for row in world.rows if type(row) is ruled.model}
        more = found - wanted
        # The trail holds what has been done here as well.
        assert wanted <= found and (not more or ruled.model is AuditEntry), (part.name, url)
        hidden = [world.brand for world in stage.worlds if world not in part.sees]
        assert not AuditEntry.objects.filter(pk__in=more, brand__in=hidden).exists(), (part.name, url)
    if part not in stage.lookers:
        return
    for world in stage.worlds:
        for name, row in (("brand", world.brand), ("channel", world.channel)):
            with undone():
                narrowed = rows_of(stage, part, url, **{name: str(row.pk)})
                assert narrowed is None or bool(narrowed) == (world in part.sees), (part.name, url, name)


def rows_of(stage: Stage, part: Part, url: str, **filters: str) -> set[str] | None:
    """The ids in an export; None where the list has no such filter."""
    answer = stage.program(part).get(url, filters)
    if answer.status_code == 400:
        return None
    lines = b"".join(answer.streaming_content)
    told = HttpResponse(lines, headers=dict(answer.headers))
    stage.judge(part, told, asked=f"{url} {filters}", label=f"{part} export {url} {filters}")
    return {json.loads(line)["id"] for line in lines.splitlines()}


def test_sums_are_those_of_their_owners_brands(stage):
    before = state_of_everything()
    for ruled in RULED:
        if ruled.rule is Rule.API_TABLE:
            for part in stage.parts:
                ask_table(stage, part, ruled.route.url())
    assert state_of_everything() == before


def ask_table(stage: Stage, part: Part, url: str) -> None:
    assert stage.ask(part, "get", url).status_code == 401
    answer = stage.ask(part, "get", url, by_key=True)
    if part.user is None:
        assert answer.status_code == 401
        return
    assert {row["brand"] for row in answer.json()["results"]} == {str(world.brand.pk) for world in part.sees}
    for world in stage.worlds:
        for name, row in (("brand", world.brand), ("channel", world.channel)):
            narrowed = stage.ask(part, "get", url, {name: str(row.pk)}, by_key=True)
            assert bool(narrowed.json()["results"]) == (world in part.sees), (part.name, url, name)
            as_csv = stage.ask(part, "get", url, {name: str(row.pk), "as": "csv"}, by_key=True)
            assert (str(row.pk) in as_csv.content.decode()) == (world in part.sees), (part.name, url, name)
    for method in ("post", "put", "patch", "delete", "options"):
        assert stage.ask(part, method, url, {}, by_key=True, content_type="application/json").status_code == 405


def ask_row(stage: Stage, part: Part, ruled: Ruled) -> None:
    missing = stage.ask(part, "get", ruled.route.url(pk=new_id()), by_key=True)
    for world in stage.worlds:
        row_id = str(world.row_of(ruled.model).pk)
        answer = stage.ask(part, "get", ruled.route.url(pk=row_id), by_key=True)
        if part.user is None:
            assert answer.status_code == 401
        elif world in part.sees:
            assert answer.json()["id"] == row_id
        else:
            assert answer.status_code == 404
            assert shape_of(answer) == shape_of(missing)


def test_keys_change_nothing(stage):
    before = state_of_everything()
    for part in stage.parts:
        for ruled in OF_API:
            url = ruled.route.url(pk=stage.amber.row_of(ruled.model).pk)
            for method in ("post", "put", "patch", "delete", "options"):
                answer = stage.ask(part, method, url, {"state": "CLOSED"}, by_key=True, content_type="application/json")
                assert answer.status_code == (401 if part.user is None else 405), (part.name, method, url)
    assert state_of_everything() == before


def test_a_session_opens_no_list_and_a_key_no_page(stage):
    for part in stage.parts:
        for ruled in RULED:
            if ruled.rule in (Rule.API_LIST, Rule.API_EXPORT):
                assert stage.ask(part, "get", ruled.route.url()).status_code == 401
            elif ruled.rule in (Rule.LIST, Rule.ADD):
                assert is_sent_to_sign_in(stage.ask(part, "get", ruled.route.url(), by_key=True))


# --- webhooks --------------------------------------------------------------------------------------------------------


def post_signed(stage: Stage, *, by: World, at: World, body: bytes, headers: dict[str, str] | None = None) -> int:
    """LivePerson's notification to the installation of one brand, signed with the secret of another."""
    signature = notifications.sign(body, by.client_secret, algorithm="sha256")
    answer = Client(raise_request_exception=False).post(
        f"/webhooks/liveperson/{at.installation.pk}/",
        data=body,
        content_type="application/json",
        headers={"X-LivePerson-Signature": signature, **(headers or {})},
    )
    stage.judge(Part(name="signed", user=None, sees=(by,)), answer, asked="", label=f"by {by.mark} at {at.mark}")
    return answer.status_code


def post_on_channel(stage: Stage, *, by: World, at: World, body: bytes) -> int:
    secret = Secret(id=uuid.uuid4(), value=by.channel_secret.encode(), name="signing_secret")
    headers = standard_webhooks.sign(message_id=str(new_id()), body=body, secrets=[secret], now=timezone.now())
    answer = Client(raise_request_exception=False).post(
        f"/webhooks/channels/{at.channel.pk}/", data=body, content_type="application/json", headers=headers
    )
    stage.judge(Part(name="signed", user=None, sees=(by,)), answer, asked="", label=f"by {by.mark} at {at.mark}")
    return answer.status_code


@pytest.fixture(autouse=True)
def _fresh_sources():
    forget_sources()
    yield
    forget_sources()


def notifications_about(world: World) -> list[bytes]:
    """Everything that LivePerson could say about the conversation of a brand."""
    conversation, dialog = world.conversation.lp_conversation_id, f"dialog-open-{world.mark}"
    return [
        notifications.notification(notifications.said(conversation, 9, "forged", dialog=dialog)),
        notifications.notification(notifications.said(conversation, 9, "forged", dialog=conversation)),
        notifications.notification(notifications.receipt(conversation, 10, "READ", 1, 2, dialog=dialog)),
    ]


def test_the_signature_of_one_brand_opens_nothing_of_another(stage):
    before = state_of_everything()
    for by, at in ((stage.amber, stage.birch), (stage.birch, stage.amber)):
        for body in notifications_about(at):
            assert post_signed(stage, by=by, at=at, body=body) == 401
        assert post_on_channel(stage, by=by, at=at, body=channel_message(at)) == 401
    assert state_of_everything() == before


def test_headers_that_name_another_brand_are_refused(stage):
    before = state_of_everything()
    for own, other in ((stage.amber, stage.birch), (stage.birch, stage.amber)):
        for name, value in (
            ("X-LivePerson-Account-Id", other.account.lp_account_id),
            ("X-LivePerson-Client-Id", other.installation.client_id),
        ):
            body = notifications.notification(notifications.said("x", 1, "x"))
            assert post_signed(stage, by=own, at=own, body=body, headers={name: value}) == 401
    assert state_of_everything() == before


def test_an_authentic_body_that_names_rows_of_another_brand_changes_none_of_them(stage):
    links = [one for one in all_invariants() if one.name.startswith("one_")]
    for own, other in ((stage.amber, stage.birch), (stage.birch, stage.amber)):
        with undone():
            apply_all()  # what the worlds brought with them
            before, stored = state_of(other), Delivery.objects.filter(brand=own.brand).count()
            bodies = notifications_about(other)
            for body in bodies:
                assert post_signed(stage, by=own, at=own, body=body) == 200
            for body in (channel_message(other), channel_status(other), channel_end(other)):
                assert post_on_channel(stage, by=own, at=own, body=body) == 200
            apply_all()
            assert Delivery.objects.filter(brand=own.brand).count() == stored + len(bodies) + 3
            assert state_of(other) == before
            assert check(links) == []


def channel_message(world: World) -> bytes:
    consumer = {"id": world.consumer.channel_consumer_id, "name": "Mallory"}
    return _channel_event("message.received", {"id": f"m-1-{world.mark}", "consumer": consumer, "text": "forged"})


def channel_status(world: World) -> bytes:
    delivered = next(row for row in world.rows if getattr(row, "kind", "") == "FILE" and hasattr(row, "lane_id"))
    return _channel_event("message.status", {"id": str(delivered.pk), "status": "read"})


def channel_end(world: World) -> bytes:
    return _channel_event("conversation.closed", {"consumer": {"id": world.consumer.channel_consumer_id}})


def _channel_event(kind: str, data: dict[str, object]) -> bytes:
    return json.dumps({"type": kind, "timestamp": timezone.now().isoformat(), "data": data}).encode()


def test_webhooks_without_a_signature_open_nothing_whoever_is_signed_in(stage):
    before = state_of_everything()
    for part in stage.parts:
        for world in stage.worlds:
            for url in (f"/webhooks/liveperson/{world.installation.pk}/", f"/webhooks/channels/{world.channel.pk}/"):
                unknown = url.replace(str(world.installation.pk), str(new_id())).replace(
                    str(world.channel.pk), str(new_id())
                )
                for by_key in (False, True):
                    answers = [
                        shape_of(stage.ask(part, "post", one, {"x": 1}, by_key=by_key, content_type="application/json"))
                        for one in (url, unknown)
                    ]
                    assert answers[0] == answers[1], (part.name, url)
                    assert answers[0][0] == 401
                for method in ("get", "put", "patch", "delete"):
                    answer = stage.ask(part, method, url)
                    assert answer.status_code in (401, 405), (part.name, method, url)
    assert state_of_everything() == before


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_link_opens_its_file_and_no_other(stage):
    amber, birch = stage.worlds
    address = link_to(amber.file.pk).split("://", 1)[1].partition("/")[2]
    for part in stage.parts:
        answer = stage.client(part).get(f"/{address}")
        text = told_by(answer)
        assert answer.status_code == 200
        assert f"file of {amber.mark}" in text
        assert birch.mark not in text
        stage.cells += 1


def test_links_that_were_made_up_open_nothing(stage):
    good = {world.mark: link_to(world.file.pk).rsplit("/", 1)[1] for world in stage.worlds}
    signature = good[stage.amber.mark].partition("~")[2]
    for part in stage.parts:
        for world in stage.worlds:
            forged = [
                world.file.pk.hex, str(world.file.pk), f"{world.file.pk.hex}~",
                f"{stage.birch.file.pk.hex}~{signature}",
                good[world.mark][:-1], good[world.mark].upper(), Signer(salt="other", sep="~").sign(world.file.pk.hex),
                Signer(sep="~").sign(world.file.pk.hex), "%00", "~", "x" * 5_000,
            ]  # fmt: skip
            for token in forged:
                answer = stage.ask(part, "get", f"/files/{token}")
                assert answer.status_code == 404, (part.name, token)
            for method in ("post", "put", "delete"):
                assert stage.ask(part, method, f"/files/{good[world.mark]}").status_code == 405
