"""Keys are made and revoked from the command line; each act is in the trail, and no key stands in it."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from audit.models import AuditEntry
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, Any]:
    """The JSON that the command prints."""
    out = io.StringIO()
    call_command("api_key", *arguments, stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def status_with(key: str) -> int:
    return Client().get("/api/v1/messages/", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_is_printed_once_works_and_ends_after_its_days():
    make_user("ada")
    told = run("create", "--user", "ada", "--days", "7")
    assert re.fullmatch(r"consite_[0-9a-f]{64}", told["key"])
    assert told["key"].startswith(told["prefix"])
    ends_in = datetime.fromisoformat(told["expires_at"]) - timezone.now()
    assert timedelta(days=6, hours=23) < ends_in <= timedelta(days=7)
    assert status_with(told["key"]) == 200


def test_a_key_lives_for_90_days_unless_somebody_says_less():
    make_user("ada")
    told = run("create", "--user", "ada")
    assert status_with(told["key"]) == 200
    row = AuthToken.objects.get()
    assert timedelta(days=89) < row.expiry - timezone.now() <= timedelta(days=90)


def test_a_revoked_key_is_refused_at_once_and_the_others_stay():
    make_user("ada")
    lost, kept = (run("create", "--user", "ada")["key"] for _ in range(2))
    assert run("revoke", "--prefix", lost[:15]) == {"revoked": lost[:15], "user": "ada"}
    assert (status_with(lost), status_with(kept)) == (401, 200)


def test_a_key_that_was_found_somewhere_can_be_revoked_by_the_whole_of_it():
    make_user("ada")
    key = run("create", "--user", "ada")["key"]
    assert run("revoke", "--prefix", key)["revoked"] == key[:15]
    assert status_with(key) == 401


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "--user", "nobody"], "no person named 'nobody'"),
        (["create", "--user", "ada", "--days", "91"], "from 1 to 90 days"),
        (["create", "--user", "ada", "--days", "0"], "from 1 to 90 days"),
        (["create", "--user", "gone"], "may not sign in"),
        (["revoke", "--prefix", "consite_"], "named by its beginning"),
        (["revoke", "--prefix", "%%%%%%%%%%%%"], "named by its beginning"),
        (["revoke", "--prefix", "consite_%%%%"], "No key begins like this"),
        (["revoke", "--prefix", "consite_0000000"], "No key begins like this"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(arguments, words):
    make_user("ada")
    gone = make_user("gone")
    gone.is_active = False
    gone.save()
    with pytest.raises(CommandError, match=words):
        run(*arguments)
    assert not AuditEntry.objects.filter(action__startswith="api_key.").exists()
    assert not AuthToken.objects.exists()


def test_a_beginning_that_several_keys_share_revokes_none():
    ada = make_user("ada")
    for number in range(2):
        AuthToken.objects.create(user=ada)
        AuthToken.objects.filter(token_key__startswith="consite_").exclude(token_key__startswith="consite_abcd").update(
            token_key=f"consite_abcd00{number}"
        )
    with pytest.raises(CommandError, match="Several keys begin like this"):
        run("revoke", "--prefix", "consite_abcd")
    assert AuthToken.objects.count() == 2


def test_both_acts_are_in_the_trail_without_the_key():
    ada = make_user("ada")
    key = run("create", "--user", "ada")["key"]
    run("revoke", "--prefix", key[:15])
    created, revoked = AuditEntry.objects.filter(action__startswith="api_key.").order_by("id")
    assert (created.action, revoked.action) == ("api_key.created", "api_key.revoked")
    for entry in (created, revoked):
        assert (entry.subject_type, entry.subject_id, entry.actor_kind) == ("user", str(ada.pk), "COMMAND")
        assert entry.data["prefix"] == key[:15]
        assert key[15:] not in json.dumps(entry.data)
