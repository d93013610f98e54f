"""Acts by keys: done once however often they are asked for, recorded, and refused with a sentence."""

from __future__ import annotations

import io
import json
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from access import leftovers
from access.models import ApiKey, KeptAnswer, Membership, Role
from audit.models import AuditEntry
from connector_site import api_keys
from conversations.models import DispatchState
from core.actor import COMMAND
from core.ids import first_id_at, new_id
from installations.models import State
from tests.access.keys import Program, make_key
from tests.conversations.database import empty
from tests.factories import World, make_two_brands, make_world
from webhooks import retention

REASON = "Asked for by the brand"


@pytest.fixture
def worlds(db) -> tuple[World, World]:
    return make_two_brands()


@pytest.fixture
def amber(worlds) -> World:
    return worlds[0]


@pytest.fixture
def program(amber) -> Program:
    return Program(amber.operator, name="repairs", may_operate=True)


def post(program: Client, url: str, name: str = "", body: object = None, **headers: str):
    """An act, by a name of its own unless one is given."""
    return program.post(
        url,
        data=body if isinstance(body, bytes) else json.dumps({"reason": REASON} if body is None else body),
        content_type=headers.pop("content_type", "application/json"),
        headers={"Idempotency-Key": name or str(new_id()), **headers},
    )


def resend(world: World) -> str:
    return f"/api/v1/dispatches/{world.dead.pk}/resend/"


def entries(subject) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(subject_id=str(subject.pk), actor_kind="KEY").order_by("id"))


# --- what is done ----------------------------------------------------------------------------------------------------


def test_a_dead_dispatch_is_sent_again_and_the_answer_is_the_row(program, amber):
    answer = post(program, resend(amber))
    assert answer.status_code == 200, answer.content
    amber.dead.refresh_from_db()
    assert amber.dead.state == DispatchState.QUEUED
    told = answer.json()
    assert (told["id"], told["state"]) == (str(amber.dead.pk), "QUEUED")
    assert told == program.read(f"/api/v1/dispatches/{amber.dead.pk}/")


@pytest.mark.parametrize(
    ("act", "state"),
    [("resend", DispatchState.QUEUED), ("resolve", DispatchState.SENT), ("drop", DispatchState.DROPPED)],
)
def test_every_act_on_a_parked_dispatch(program, amber, act, state):
    assert post(program, f"/api/v1/dispatches/{amber.parked.pk}/{act}/").json()["state"] == state
    amber.parked.refresh_from_db()
    assert amber.parked.state == state


def test_an_installation_is_paused_and_resumed(program, amber):
    for act, state in (("pause", State.PAUSED), ("resume", State.ACTIVE)):
        answer = post(program, f"/api/v1/installations/{amber.installation.pk}/{act}/")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        amber.installation.refresh_from_db()
        assert amber.installation.state == state


def test_the_trail_names_the_key_its_owner_the_reason_and_the_address(program, amber):
    post(program, resend(amber))
    (entry,) = entries(amber.dead)
    assert (entry.action, entry.reason, entry.address) == ("dispatch.resent", REASON, "127.0.0.1")
    assert entry.actor_id == str(ApiKey.objects.get(owner=amber.operator).pk)
    assert entry.actor_name == f"{amber.operator.username} (key repairs)"


# --- once ------------------------------------------------------------------------------------------------------------


def test_a_repeat_is_answered_alike_and_does_nothing(program, amber):
    first = post(program, resend(amber), "n-1")
    amber.dead.refresh_from_db()
    amber.dead.state = DispatchState.DEAD  # it has failed once more since
    amber.dead.save()
    again = post(program, resend(amber), "n-1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert ("Idempotent-Replayed" in first.headers, again["Idempotent-Replayed"]) == (False, "true")
    amber.dead.refresh_from_db()
    assert amber.dead.state == DispatchState.DEAD
    assert len(entries(amber.dead)) == 1
    assert post(program, resend(amber), "n-2").status_code == 200
    assert len(entries(amber.dead)) == 2


def test_the_same_request_in_other_bytes_is_the_same_request(program, amber):
    post(program, resend(amber), "n-1")
    again = post(program, resend(amber).rstrip("/"), "n-1", f'{{ "reason":\n  "{REASON}" }}'.encode())
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")


@pytest.mark.parametrize("change", ["reason", "row", "act"])
def test_the_same_name_for_another_request_is_refused(program, amber, change):
    post(program, resend(amber), "n-1")
    url = {
        "reason": resend(amber),
        "row": f"/api/v1/dispatches/{amber.parked.pk}/resend/",
        "act": f"/api/v1/dispatches/{amber.dead.pk}/drop/",
    }[change]
    answer = post(program, url, "n-1", {"reason": "Another"} if change == "reason" else None)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert AuditEntry.objects.filter(actor_kind="KEY").count() == 1


def test_two_keys_may_use_the_same_name(program, amber):
    other = Program(amber.owner, may_operate=True)
    assert post(program, resend(amber), "n-1").status_code == 200
    assert post(other, f"/api/v1/dispatches/{amber.parked.pk}/drop/", "n-1").status_code == 200


def test_what_was_not_possible_may_be_asked_for_again_by_the_same_name(program, amber):
    url = f"/api/v1/installations/{amber.installation.pk}/resume/"
    refused = post(program, url, "n-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert refused.json()["detail"] == "It is active: only a paused one is resumed."
    assert not KeptAnswer.objects.exists()
    amber.installation.state = State.PAUSED
    amber.installation.save()
    assert post(program, url, "n-1").status_code == 200


@pytest.mark.parametrize("act", ["resend", "resolve", "drop"])
def test_a_dispatch_that_has_been_sent_is_not_touched(program, amber, act):
    post(program, f"/api/v1/dispatches/{amber.parked.pk}/resolve/")
    answer = post(program, f"/api/v1/dispatches/{amber.parked.pk}/{act}/")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_possible")


def test_a_disabled_installation_is_not_resumed_by_a_key(program, amber):
    amber.installation.state = State.DISABLED
    amber.installation.save()
    for act in ("pause", "resume"):
        assert post(program, f"/api/v1/installations/{amber.installation.pk}/{act}/").status_code == 409


def test_answers_are_forgotten_after_a_day_and_digests_of_ended_keys_at_once(program, amber):
    post(program, resend(amber), "n-1")
    young = KeptAnswer.objects.get()
    old = KeptAnswer.objects.create(
        id=first_id_at(timezone.now() - leftovers.ANSWERS_ARE_KEPT_FOR - timedelta(minutes=1)),
        key=young.key, idempotency_key="n-0", digest=b"", answer="",
    )  # fmt: skip
    make_key(amber.auditor)
    AuthToken.objects.filter(user=amber.auditor).update(expiry=timezone.now() - timedelta(seconds=1))
    done = {batch.kind: batch.count for batch in retention.walk()}
    assert (done[retention.ANSWERS_TO_KEYS], done[retention.ENDED_KEYS]) == (1, 1)
    assert list(KeptAnswer.objects.all()) == [young]
    assert not KeptAnswer.objects.filter(pk=old.pk).exists()
    assert ApiKey.objects.get(owner=amber.auditor).token_id is None
    assert post(program, resend(amber), "n-1")["Idempotent-Replayed"] == "true"


# --- who may not -----------------------------------------------------------------------------------------------------


def test_a_key_that_reads_only_is_refused_whatever_its_owner_may(amber):
    answer = post(Program(amber.owner), resend(amber))
    assert (answer.status_code, answer.json()["detail"]) == (403, "This key reads only. Make one that operates.")


@pytest.mark.parametrize("role", [None, Role.AUDITOR])
def test_a_key_of_somebody_who_has_lost_the_role_is_refused(program, amber, role):
    Membership.objects.filter(user=amber.operator).delete()
    if role:
        Membership.objects.create(user=amber.operator, brand=amber.brand, role=role)
    answer = post(program, resend(amber))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert not entries(amber.dead)


def test_a_repeat_is_refused_once_the_key_may_no_longer_see_the_row(program, worlds):
    amber, birch = worlds
    assert post(program, resend(amber), "n-1").status_code == 200
    Membership.objects.filter(user=amber.operator).update(brand=birch.brand)
    assert post(program, resend(amber), "n-1").status_code == 404


class SlowBody(io.BytesIO):
    """A body as a server hands it on; something happens while it is on its way."""

    def __init__(self, body: bytes, meanwhile) -> None:
        super().__init__(body)
        self._meanwhile = meanwhile

    def read(self, size: int | None = -1) -> bytes:
        self._meanwhile()
        return super().read(size)


def _revoke(owner) -> None:
    if key := ApiKey.objects.filter(owner=owner, revoked_at=None).first():
        api_keys.revoke(key, actor=COMMAND)


def _take_role_away(owner) -> None:
    Membership.objects.filter(user=owner).update(role=Role.AUDITOR)


@pytest.mark.parametrize(("meanwhile", "status"), [(_revoke, 401), (_take_role_away, 403)])
def test_who_may_no_longer_act_when_the_body_has_come_does_not(program, amber, meanwhile, status):
    body = SlowBody(json.dumps({"reason": REASON}).encode(), lambda: meanwhile(amber.operator))
    answer = program.post(
        resend(amber),
        content_type="application/json",
        headers={"Idempotency-Key": "n-1", "Transfer-Encoding": "chunked"},
        **{"wsgi.input": body},
    )
    assert answer.status_code == status
    amber.dead.refresh_from_db()
    assert (amber.dead.state, KeptAnswer.objects.count(), entries(amber.dead)) == (DispatchState.DEAD, 0, [])


def test_a_key_that_was_revoked_while_its_question_came_is_told_nothing(program, amber):
    asked = json.dumps({"term": str(amber.dead.pk)}).encode()
    body = SlowBody(asked, lambda: _revoke(amber.operator))
    answer = program.post(
        "/api/v1/find/", content_type="application/json", **{"wsgi.input": body, "CONTENT_LENGTH": str(len(asked))}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")


def test_where_the_owner_only_looks_the_key_only_looks(program, worlds):
    amber, birch = worlds
    Membership.objects.create(user=amber.operator, brand=birch.brand, role=Role.AUDITOR)
    assert program.get(f"/api/v1/dispatches/{birch.dead.pk}/").status_code == 200
    assert post(program, resend(birch)).status_code == 403


def test_a_key_limited_to_other_resources_is_refused(amber):
    program = Program(amber.operator, may_operate=True, resources=["installations"])
    assert post(program, resend(amber)).status_code == 403
    assert post(program, f"/api/v1/installations/{amber.installation.pk}/pause/").status_code == 200


# --- what cannot be used ---------------------------------------------------------------------------------------------

BODIES: list[tuple[object, int]] = [
    (b" ", 400), (b"{", 400), (b"null", 400), (b"[]", 400), (b'"x"', 400), (b"{}", 400), (b"\xff\xfe", 400),
    (b'\xef\xbb\xbf{"reason": "x"}', 400), (b"[" * 10_000, 400), (b'{"reason": ' + b"9" * 5_000 + b"}", 400),
    ({"reason": ""}, 400), ({"reason": " \n"}, 400), ({"reason": None}, 400), ({"reason": 5}, 400),
    ({"reason": ["x"]}, 400), ({"reason": "x" * 501}, 400), ({"reason": "a\0b"}, 400), ({"reason": "a\nb"}, 400),
    ({"reason": "\ud800"}, 400),
    ({"reason": "x", "state": "SENT"}, 400), ({"reason": "x", "\0": 1}, 400), ({"Reason": "x"}, 400),
    (b'{"reason": "' + b"x" * 20_000 + b'"}', 413), (b"[" * 200_000, 413),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BODIES)
def test_a_body_that_cannot_be_used_is_refused_with_a_sentence(program, amber, body, status):
    answer = post(program, resend(amber), "n-1", body)
    told = answer.json()
    assert (answer.status_code, sorted(told)) == (status, ["code", "correlation_id", "detail"])
    assert told["detail"].endswith(".")
    assert not entries(amber.dead)
    assert post(program, resend(amber), "n-1").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": ""}, 415),
        ({"content_type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"content_type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_only_plain_json_is_taken(program, amber, headers, status):
    assert post(program, resend(amber), "n-1", **headers).status_code == status


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 129, "ü", "\x7f", "\x00"])
def test_an_act_needs_a_name_that_can_be_used(program, amber, name):
    answer = program.post(
        resend(amber), {"reason": REASON}, content_type="application/json", headers={"Idempotency-Key": name}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert not entries(amber.dead)


def test_a_body_that_ends_early_is_refused(program, amber):
    answer = post(program, resend(amber), "n-1", b'{"reason": "Be', CONTENT_LENGTH="50")
    assert answer.status_code == 400


def test_parameters_and_other_methods_are_refused(program, amber):
    assert post(program, f"{resend(amber)}?force=1").status_code == 400
    for method in ("get", "head", "put", "patch", "delete", "options"):
        assert getattr(program, method)(resend(amber)).status_code == 405


# --- two at once -----------------------------------------------------------------------------------------------------


@pytest.fixture
def committed(django_db_setup, django_db_blocker):
    """A brand and a key, as other connections see them."""
    with django_db_blocker.unblock():
        world = make_world(slug="amber", mark="AMBERXQJ7")
        yield world, make_key(world.operator, may_operate=True)
        AuthToken.objects.all().delete()
        empty()


def test_two_at_once_are_one_act(committed):
    world, key = committed
    answers = []
    together = threading.Barrier(4)

    def ask() -> None:
        client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {key}"})
        together.wait()
        answers.append(post(client, resend(world), "n-1"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sorted("Idempotent-Replayed" in answer.headers for answer in answers) == [False, True, True, True]
    assert len(entries(world.dead)) == 1
