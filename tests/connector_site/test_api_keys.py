"""Keys are made and revoked from the command line; each act is in the trail, and no key stands in it."""

from __future__ import annotations

import base64
import io
import json
import re
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from access.models import ApiKey, Membership, Role
from audit.models import AuditEntry
from connector_site import api_keys
from core.actor import COMMAND
from core.errors import ConfigurationError
from tests.access.keys import Program
from tests.factories import make_superuser, make_two_brands, make_user

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Any:
    """The JSON that the command prints."""
    out = io.StringIO()
    call_command("api_key", *arguments, stdout=out)
    return json.loads(out.getvalue())


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
    make_user("ada")
    keys = [run("create", "--user", "ada") for _ in range(2)]
    for number, key in enumerate(keys):
        ApiKey.objects.filter(pk=key["id"]).update(prefix=f"consite_abcd00{number}")
    with pytest.raises(CommandError, match="Several keys begin like this"):
        run("revoke", "--prefix", "consite_abcd")
    assert AuthToken.objects.count() == 2
    # The whole of a key names it even then.
    ApiKey.objects.update(prefix="consite_abcd000")
    assert run("revoke", "--prefix", keys[0]["key"])["user"] == "ada"
    assert [status_with(key["key"]) for key in keys] == [401, 200]


def test_both_acts_are_in_the_trail_without_the_key():
    make_user("ada")
    told = run("create", "--user", "ada", "--name", "nightly export")
    key = told["key"]
    run("revoke", "--prefix", key[:15], "--reason", "It stood in a log.")
    created, revoked = AuditEntry.objects.filter(action__startswith="api_key.").order_by("id")
    assert (created.action, revoked.action, revoked.reason) == (
        "api_key.created",
        "api_key.revoked",
        "It stood in a log.",
    )
    for entry in (created, revoked):
        assert (entry.subject_type, entry.subject_id, entry.actor_kind) == ("apikey", told["id"], "COMMAND")
        assert (entry.data["owner"], entry.data["prefix"]) == ("ada", key[:15])
        assert key[15:] not in repr(entry.__dict__)


# --- what a key is limited to ----------------------------------------------------------------------------------------


def test_a_key_is_limited_as_it_was_asked_for():
    amber, birch = make_two_brands()
    make_user("ada", role=Role.OPERATOR)
    told = run(
        "create", "--user", "ada", "--name", "nightly export", "--brand", amber.brand.slug, "--brand",
        birch.brand.slug, "--resource", "messages", "--resource", "usage", "--content", "--operate",
    )  # fmt: skip
    row = ApiKey.objects.get(pk=told["id"])
    assert row.brand_ids == {amber.brand.pk, birch.brand.pk}
    assert (row.resources, row.may_read_content, row.may_operate) == (["messages", "usage"], True, True)
    assert told["brands"] == sorted([amber.brand.slug, birch.brand.slug])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--brand", "birch-birchzvk4"], "auditor.AMBERXQJ7 may not see birch-birchzvk4"),
        (["--brand", "nowhere"], "no brand 'nowhere'"),
        (["--resource", "message"], "no resource 'message'. There are: brands, accounts"),
        (["--operate"], "may not operate any brand"),
        (["--operate", "--brand", "amber-amberxqj7"], "may not operate amber-amberxqj7"),
        (["--name", " "], "name of 1 to 80 characters"),
        (["--name", "x" * 81], "name of 1 to 80 characters"),
        (["--name", "a\x00b"], "name of 1 to 80 characters"),
    ],
)
def test_what_a_key_would_not_open_is_refused_when_it_is_made(arguments, words):
    amber, _ = make_two_brands()
    with pytest.raises(CommandError, match=words):
        run("create", "--user", amber.auditor.username, *arguments)
    assert not ApiKey.objects.exists()


def test_somebody_who_may_operate_one_brand_gets_no_key_that_operates_another():
    amber, birch = make_two_brands()
    Membership.objects.create(user=amber.operator, brand=birch.brand, role=Role.AUDITOR)
    for brands, is_made in (([amber.brand], True), ([birch.brand], False), ([amber.brand, birch.brand], False)):
        slugs = [word for brand in brands for word in ("--brand", brand.slug)]
        with nullcontext() if is_made else pytest.raises(CommandError, match="may not operate birch"):
            run("create", "--user", amber.operator.username, "--operate", *slugs)


def test_the_row_of_a_revoked_key_stays_and_its_digest_goes():
    make_user("ada")
    told = run("create", "--user", "ada")
    run("revoke", "--prefix", told["prefix"])
    row = ApiKey.objects.get(pk=told["id"])
    assert (row.token_id, AuthToken.objects.count()) == (None, 0)
    assert row.revoked_at is not None
    with pytest.raises(CommandError, match="No key begins like this"):
        run("revoke", "--prefix", told["prefix"])
    with pytest.raises(ConfigurationError, match="was revoked before"):
        api_keys.revoke(row, actor=COMMAND)
    assert AuditEntry.objects.filter(action="api_key.revoked").count() == 1


def test_keys_are_listed_without_the_secret():
    for name in ("ada", "bob"):
        make_user(name)
    lost, ended, kept = (run("create", "--user", "ada") for _ in range(3))
    run("create", "--user", "bob")
    run("revoke", "--prefix", lost["prefix"])
    ApiKey.objects.filter(pk=ended["id"]).update(expires_at=timezone.now())
    listed = run("list", "--user", "ada")
    assert [one["id"] for one in listed] == [kept["id"]]
    assert "key" not in listed[0]
    assert kept["key"][15:] not in json.dumps(listed)
    standings = {one["id"]: one["standing"] for one in run("list", "--user", "ada", "--all")}
    assert standings == {lost["id"]: "revoked", ended["id"]: "expired", kept["id"]: "valid"}
    assert len(run("list")) == 2


def test_a_key_of_one_brand_stands_in_the_trail_of_that_brand():
    amber, birch = make_two_brands()
    make_user("ada", role=Role.OPERATOR)
    for arguments, brand_id in (
        (["--user", amber.auditor.username], amber.brand.pk),
        (["--user", "ada", "--brand", birch.brand.slug], birch.brand.pk),
        (["--user", "ada", "--brand", birch.brand.slug, "--brand", amber.brand.slug], None),
        (["--user", "ada"], None),
    ):
        told = run("create", *arguments)
        run("revoke", "--prefix", told["key"])
        entries = AuditEntry.objects.filter(subject_id=told["id"])
        assert [entry.brand_id for entry in entries] == [brand_id, brand_id]


# --- in the admin ----------------------------------------------------------------------------------------------------


def facts_on(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page))


def test_the_page_of_a_key_says_what_it_opens_and_what_it_does_not(client):
    client.force_login(make_superuser())
    make_user("ada", role=Role.OPERATOR)
    for arguments, resources, content, operates in (
        ([], "all", "no", "no"),
        (["--resource", "usage", "--resource", "messages", "--content", "--operate"], "messages, usage", "yes", "yes"),
    ):
        told = run("create", "--user", "ada", *arguments)
        facts = facts_on(client.get(f"/admin/access/apikey/{told['id']}/change/").content.decode())
        assert facts["Resources"] == resources
        assert (facts["Reads what was said"], facts["May operate"]) == (content, operates)


def test_the_fields_of_a_new_key_look_like_those_of_other_forms(client):
    client.force_login(make_superuser())
    page = client.get("/admin/access/apikey/add/").content.decode()
    name, days = (re.search(rf'<input[^>]*name="{field}"[^>]*>', page)[0] for field in ("name", "days"))
    for look in ("border", "rounded-default"):
        assert look in name
        assert look in days


# --- what the database holds -----------------------------------------------------------------------------------------


def dump() -> str:
    """All rows of all tables, as pg_dump writes them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            with cursor.copy(f"COPY {table} TO STDOUT") as rows:
                found.append(b"".join(bytes(part) for part in rows).decode())
    return "\n".join(found)


def forms_of(secret: str) -> list[str]:
    """A secret as it is, as the hexadecimal digits of a binary column, and in base64."""
    raw = secret.encode()
    return [secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")]


def test_a_dump_holds_no_key_that_could_be_used_and_no_secret():
    """After all that touches a key: made, used, refused, used for an act, revoked, and shown in the admin."""
    amber, birch = make_two_brands()
    programs = [Program(amber.operator, may_operate=True), Program(birch.auditor)]
    keys = [program.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ") for program in programs]
    url = f"/api/v1/dispatches/{amber.dead.pk}/resend/"
    asked = {"reason": "A test"}
    headers = {"Idempotency-Key": "n-1"}
    assert programs[0].post(url, asked, content_type="application/json", headers=headers).status_code == 200
    assert programs[1].post(url, asked, content_type="application/json", headers=headers).status_code == 403
    assert programs[1].get(f"/api/v1/installations/{amber.installation.pk}/").status_code == 404
    run("revoke", "--prefix", keys[1])
    browser = Client()
    browser.force_login(make_superuser())
    form = {"name": "typed", "days": "3", "owner": str(amber.owner.pk)}
    page = browser.post("/admin/access/apikey/add/", form).content.decode()
    keys += re.findall(r"consite_[0-9a-f]{64}", page)[:1]
    assert len(keys) == 3
    stored = dump()
    assert keys[0][:15] in stored  # the eye sees
    secrets = [*keys, *(key.removeprefix("consite_") for key in keys)]
    for world in (amber, birch):
        secrets += [world.client_secret, world.channel_secret, f"eyJ.app.{world.mark}", f"eyJ.consumer.{world.mark}"]
    assert [secret for secret in secrets for form in forms_of(secret) if form in stored] == []
