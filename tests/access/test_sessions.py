"""Sessions: how long they last, and what ends them at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from access.models import User
from audit.models import AuditEntry
from tests.admin_pages import signed_in, url_of
from tests.factories import PASSWORD, make_superuser, make_two_brands
from webhooks import retention

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NEW_PASSWORD = "another long password 42"


@pytest.fixture
def root() -> User:
    return make_superuser()


def is_in(client: Client, path: str = "/admin/password_change/", **headers: str) -> bool:
    answer = client.get(path, headers=headers)
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


# --- age -------------------------------------------------------------------------------------------------------------


def test_a_session_left_alone_for_half_an_hour_is_over_and_says_why(root):
    with time_machine.travel(MORNING, tick=False) as clock:
        client = signed_in(root)
        clock.shift(timedelta(minutes=29))
        assert is_in(client)
        clock.shift(timedelta(minutes=29))
        assert is_in(client)
        clock.shift(timedelta(minutes=31))
        answer = client.get("/admin/password_change/", follow=True)
        assert answer.redirect_chain == [("/admin/login/?next=/admin/password_change/", 302)]
        assert "nothing was done for a while" in answer.content.decode()


@pytest.mark.parametrize("why", ["left alone", "ended elsewhere"])
def test_whoever_is_signed_out_by_then_is_told_that_nothing_was_stored(why, root):
    with time_machine.travel(MORNING, tick=False) as clock:
        client = signed_in(root)
        if why == "left alone":
            clock.shift(timedelta(minutes=31))
        else:
            User.objects.filter(pk=root.pk).update(sessions_round=7)
        lost, then = "What you had entered was not stored.", "/admin/login/?next=/admin/password_change/"
        answer = client.post("/admin/password_change/", {"old_password": "x"}, follow=True)
        assert answer.redirect_chain == [(then, 302)]
        assert lost in answer.content.decode()
        assert lost not in client.post(then, {"username": root.username, "password": "wrong"}).content.decode()


def test_what_a_page_asks_by_itself_keeps_nobody_signed_in(root):
    with time_machine.travel(MORNING, tick=False) as clock:
        client = signed_in(root)
        for _ in range(7):
            clock.shift(timedelta(minutes=4))
            assert is_in(client, **{"Sec-Fetch-Mode": "cors"})
        clock.shift(timedelta(minutes=4))
        assert not is_in(client, **{"Sec-Fetch-Mode": "cors"})


def test_a_session_ends_after_a_working_day_however_busy_it_is(root):
    with time_machine.travel(MORNING, tick=False) as clock:
        client = signed_in(root)
        for _ in range(23):
            clock.shift(timedelta(minutes=20))
            assert is_in(client)
        clock.shift(timedelta(minutes=20))
        assert not is_in(client)


def test_sessions_that_are_over_are_removed(root):
    with time_machine.travel(MORNING, tick=False) as clock:
        signed_in(root)
        clock.shift(timedelta(hours=9))
        signed_in(root)
        list(retention.walk())
        assert Session.objects.count() == 1


# --- rotation and cookies --------------------------------------------------------------------------------------------


def test_signing_in_gives_a_new_session_id(root):
    client = Client()
    client.session.save()
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    client.cookies["connector_site_session"] = session.session_key
    client.post("/admin/login/", {"username": root.username, "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(root.pk)
    assert client.session.session_key != session.session_key
    assert not Session.objects.filter(pk=session.session_key).exists()


def test_the_cookie_is_kept_from_scripts_and_other_sites(root):
    client = Client()
    answer = client.post("/admin/login/", {"username": root.username, "password": PASSWORD})
    cookie = answer.cookies["connector_site_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, "Lax", "")


# --- ended at once ---------------------------------------------------------------------------------------------------


def test_everybody_signs_themselves_out_everywhere(root):
    here, there = signed_in(root), signed_in(root)
    assert b"Sign out everywhere" in here.get("/admin/sign_out_everywhere/").content
    assert is_in(there)
    assert here.post("/admin/sign_out_everywhere/")["Location"] == "/admin/login/"
    assert not is_in(here)
    assert not is_in(there)
    entry = AuditEntry.objects.get(action="user.sessions_ended")
    assert (entry.actor_id, entry.subject_id) == (str(root.pk), str(root.pk))
    root.refresh_from_db()
    assert is_in(signed_in(root))


def test_who_runs_the_site_signs_somebody_else_out_everywhere(root):
    amber, _ = make_two_brands()
    boss, theirs, bystander = signed_in(root), signed_in(amber.owner), signed_in(amber.operator)
    boss.post(url_of(amber.owner, "sign-out"))
    assert [is_in(one) for one in (theirs, bystander, boss)] == [False, True, True]
    entry = AuditEntry.objects.get(action="user.sessions_ended")
    assert (entry.actor_id, entry.subject_id) == (str(root.pk), str(amber.owner.pk))


def test_an_owner_signs_out_nobody_else():
    amber, _ = make_two_brands()
    theirs = signed_in(amber.operator)
    assert signed_in(amber.owner).post(url_of(amber.operator, "sign-out")).status_code in (403, 404)
    assert is_in(theirs)


def test_a_new_password_ends_the_other_sessions_and_not_this_one(root):
    here, there = signed_in(root), signed_in(root)
    given = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert here.post("/admin/password_change/", given).status_code == 302
    assert [is_in(here), is_in(there)] == [True, False]


def test_a_password_set_by_somebody_else_ends_every_session(root):
    amber, _ = make_two_brands()
    theirs = signed_in(amber.owner)
    given = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert signed_in(root).post(f"/admin/access/user/{amber.owner.pk}/password/", given).status_code == 302
    assert not is_in(theirs)


def test_a_password_set_by_command_ends_every_session(root, monkeypatch, capsys):
    theirs = signed_in(root)
    monkeypatch.setattr("getpass.getpass", lambda prompt: NEW_PASSWORD)
    call_command("changepassword", root.username)
    assert not is_in(theirs)


def test_a_person_made_inactive_is_out_with_the_next_click(root):
    theirs = signed_in(root)
    User.objects.update(is_active=False)
    assert not is_in(theirs)


def test_other_requests_look_at_no_session(root, django_assert_num_queries):
    client: Any = signed_in(root)
    with django_assert_num_queries(0):
        client.get("/api/v1/schema/")
