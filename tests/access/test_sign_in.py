"""Signing in: who is made to wait, what they are told, and what stands in the trail of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.core.management import call_command
from django.test import Client

from access import sign_in
from access.models import User
from audit import failed_sign_ins
from audit.models import AuditEntry, FailedSignIns
from tests.factories import PASSWORD, make_superuser, make_user
from webhooks import retention

pytestmark = pytest.mark.django_db

ATTACKER, VICTIM = "198.51.100.7", "203.0.113.9"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def root() -> User:
    return make_superuser()


def attempt(username: str, password: str = "a wrong one", *, address: str = ATTACKER, **more: str) -> Any:
    given = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address, **more).post("/admin/login/", given)


def shut_out(username: str, *, address: str = ATTACKER) -> None:
    for _ in range(sign_in.PER_NAME):
        attempt(username, address=address)


def said(answer: Any) -> str:
    """What the page says, without what is another word in each answer."""
    return "\n".join(
        line for line in answer.content.decode().splitlines() if "csrf" not in line and "value=" not in line
    )


def actions() -> list[str]:
    return list(
        AuditEntry.objects.filter(action__startswith="user.sign").order_by("id").values_list("action", flat=True)
    )


# --- who waits -------------------------------------------------------------------------------------------------------


def test_after_five_failures_the_right_password_is_not_looked_at_from_there_either(root):
    shut_out(root.username)
    answer = attempt(root.username, PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 15 * 60
    assert "Try again in 15 minutes." in answer.content.decode()


def test_the_victim_signs_in_from_elsewhere(root):
    shut_out(root.username)
    assert attempt(root.username, PASSWORD, address=VICTIM).status_code == 302


def test_somebody_else_signs_in_from_the_same_address(root):
    shut_out("somebody")
    assert attempt(root.username, PASSWORD).status_code == 302


def test_the_wait_ends_however_often_one_tries_meanwhile(root):
    with time_machine.travel(NOON, tick=False) as clock:
        shut_out(root.username)
        for _ in range(3):
            clock.shift(timedelta(minutes=4))
            assert attempt(root.username, PASSWORD).status_code == 429
        assert "Try again in 3 minutes." in attempt(root.username).content.decode()
        clock.shift(timedelta(minutes=3))
        assert attempt(root.username, PASSWORD).status_code == 302


def test_failures_of_long_ago_do_not_count(root):
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(sign_in.PER_NAME - 1):
            attempt(root.username)
        clock.shift(sign_in.COOL_OFF)
        assert attempt(root.username).status_code == 200
        assert attempt(root.username, PASSWORD).status_code == 302


def test_an_address_that_tries_many_names_waits_with_all_of_them(root, monkeypatch):
    monkeypatch.setattr(sign_in, "PER_ADDRESS", 12)
    for number in range(12):
        attempt(f"name {number}")
    assert attempt(root.username, PASSWORD).status_code == 429
    assert attempt(root.username, PASSWORD, address=VICTIM).status_code == 302


def test_an_own_account_does_not_lift_the_bound_of_the_address(root, monkeypatch):
    monkeypatch.setattr(sign_in, "PER_ADDRESS", 6)
    for number in range(6):
        attempt(f"name {number}")
        if number < 5:
            assert attempt(root.username, PASSWORD).status_code == 302
    assert attempt(root.username, PASSWORD).status_code == 429


def test_signing_in_forgets_what_failed_before(root):
    for _ in range(2):
        for _ in range(sign_in.PER_NAME - 1):
            assert attempt(root.username).status_code == 200
        assert attempt(root.username, PASSWORD).status_code == 302


@pytest.mark.parametrize(
    ("one", "other", "count_as_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("fe80::1%eth0", "fe80::1", True),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(root, one, other, count_as_one, settings):
    settings.TRUSTED_PROXIES = []
    shut_out(root.username, address=one)
    assert attempt(root.username, PASSWORD, address=other).status_code == (429 if count_as_one else 302)


def test_an_address_that_a_stranger_claims_is_not_believed(root):
    for number in range(sign_in.PER_NAME):
        attempt(root.username, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert attempt(root.username, PASSWORD).status_code == 429


def test_behind_a_proxy_of_ours_each_caller_is_one(root):
    for _ in range(sign_in.PER_NAME):
        attempt(root.username, address="127.0.0.1", HTTP_X_FORWARDED_FOR=ATTACKER)
    assert attempt(root.username, PASSWORD, address="127.0.0.1", HTTP_X_FORWARDED_FOR=VICTIM).status_code == 302


@pytest.mark.parametrize(("command", "arguments"), [("axes_reset", []), ("axes_reset_username", ["root"])])
def test_a_command_lets_people_try_again_at_once(root, command, arguments, capsys):
    shut_out(root.username)
    shut_out("somebody else")
    call_command(command, *arguments)
    assert attempt(root.username, PASSWORD).status_code == 302
    assert attempt("somebody else").status_code == (429 if arguments else 200)


# --- what is told ----------------------------------------------------------------------------------------------------


def test_known_and_unknown_names_and_those_without_a_role_are_answered_alike(root):
    outsider = make_user("outsider")
    answers = {}
    for name, password in ((root.username, "wrong"), ("nobody at all", "wrong"), (outsider.username, PASSWORD)):
        answers[name] = [attempt(name, password, address=VICTIM) for _ in range(sign_in.PER_NAME + 1)]
    statuses = {tuple(answer.status_code for answer in each) for each in answers.values()}
    assert statuses == {(200, 200, 200, 200, 429, 429)}
    for place in range(sign_in.PER_NAME + 1):
        assert len({said(each[place]) for each in answers.values()}) == 1


def test_what_was_typed_is_not_kept(root):
    attempt("hunter2-hunter2", "hunter3-hunter3")
    assert AccessAttempt.objects.count() == 1
    kept = [str(value) for row in AccessAttempt.objects.values() for value in row.values()]
    assert not [value for value in kept if "hunter" in value]


def test_signing_in_leads_to_the_overview_and_to_no_other_site(root):
    given = {"username": root.username, "password": PASSWORD, "next": "//evil.example/"}
    assert Client().post("/admin/login/", given)["Location"] == "/admin/"


# --- the trail -------------------------------------------------------------------------------------------------------


def test_the_trail_names_the_first_failure_and_the_last(root):
    for _ in range(30):
        attempt(root.username)
    assert actions() == ["user.sign_in_failed", "user.sign_in_stopped"]
    stopped = AuditEntry.objects.get(action="user.sign_in_stopped")
    assert (stopped.subject_id, stopped.address, stopped.data) == (str(root.pk), ATTACKER, {"for_minutes": 15})


def test_names_that_nobody_has_are_one_entry_in_an_hour_for_each_address():
    for number in range(8):
        attempt(f"name {number}")
    assert actions() == ["user.sign_in_failed"]


def test_however_many_addresses_fail_the_trail_grows_by_a_bound_and_one_sum(root, monkeypatch):
    monkeypatch.setattr(failed_sign_ins, "NAMED_IN_AN_HOUR", 4)
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(10):
            attempt(root.username, address=f"192.0.2.{number}")
        shut_out(root.username)
        attempt(root.username)
        assert len(actions()) == 4
        clock.shift(timedelta(hours=1))
        list(retention.walk())
        list(retention.walk())
    (summed,) = AuditEntry.objects.filter(action="user.sign_in_failures_counted")
    assert summed.data == {"from": "2026-11-23T12:00:00+00:00", "wrong": 15, "refused": 1, "named": 4}
    assert not FailedSignIns.objects.exists()


def test_an_hour_whose_failures_are_all_named_needs_no_sum(root):
    with time_machine.travel(NOON, tick=False) as clock:
        attempt(root.username)
        clock.shift(timedelta(hours=1))
        list(retention.walk())
    assert actions() == ["user.sign_in_failed"]


def test_attempts_that_count_no_longer_are_removed(root):
    with time_machine.travel(NOON, tick=False) as clock:
        attempt(root.username)
        clock.shift(sign_in.COOL_OFF)
        attempt("somebody later")
        list(retention.walk())
    assert AccessAttempt.objects.count() == 1


# --- a session that stands open --------------------------------------------------------------------------------------


def new_password(client: Client, old: str) -> Any:
    words = "four unlikely words here"
    given = {"old_password": old, "new_password1": words, "new_password2": words}
    return client.post("/admin/password_change/", given)


def test_who_sits_at_an_open_session_tries_no_more_passwords_than_who_signs_in(root: User) -> None:
    client = Client(REMOTE_ADDR=ATTACKER)
    client.force_login(root)

    answers = [new_password(client, f"guess {number}") for number in range(sign_in.PER_NAME)]

    refused = new_password(client, PASSWORD)
    assert [answer.status_code for answer in answers] == [200] * (sign_in.PER_NAME - 1) + [429]
    assert (refused.status_code, "Too many attempts failed" in said(refused)) == (429, True)
    assert User.objects.get(pk=root.pk).check_password(PASSWORD)
    assert actions()[-2:] == ["user.sign_in_failed", "user.sign_in_stopped"]


def test_a_mistyped_old_password_is_said_beside_its_field(root: User) -> None:
    client = Client(REMOTE_ADDR=VICTIM)
    client.force_login(root)
    assert "Your old password was entered incorrectly" in said(new_password(client, "mistyped"))
    assert new_password(client, PASSWORD).status_code == 302
    assert User.objects.get(pk=root.pk).check_password("four unlikely words here")
