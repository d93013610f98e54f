"""Pages of brands, people and roles, and the rules that hold for every page of the admin."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from access import newest
from access.admin_base import OWN_ROWS, PLATFORM_ONLY, BrandScopedAdmin
from access.models import Brand, Membership, Role, User
from audit.models import AuditEntry
from conversations.models import Dispatch, DispatchState
from installations.models import Account
from tests.access import walk
from tests.admin_pages import signed_in
from tests.factories import PASSWORD, World, make_superuser, make_two_brands, make_user, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


def actions_of(subject: Any) -> list[str]:
    entries = AuditEntry.objects.filter(subject_id=str(subject.pk)).order_by("id")
    return list(entries.values_list("action", flat=True))


# --- what is mounted -------------------------------------------------------------------------------------------------


def test_every_page_is_for_a_brand_or_said_to_be_for_the_platform():
    for model, page in admin.site._registry.items():
        assert isinstance(page, BrandScopedAdmin) or model._meta.label in PLATFORM_ONLY | OWN_ROWS, model


def test_pages_of_libraries_are_not_mounted():
    mounted = {model._meta.app_label for model in admin.site._registry}
    assert mounted == {"access", "audit", "installations", "conversations", "webhooks", "connector_site"}


# --- who gets in -----------------------------------------------------------------------------------------------------


def test_somebody_without_a_role_does_not_get_in():
    nobody = make_user("nobody")
    client = Client()
    answer = client.post("/admin/login/", {"username": nobody.username, "password": PASSWORD})
    assert answer.status_code == 200
    assert "_auth_user_id" not in client.session
    assert signed_in(nobody).get("/admin/").status_code == 302


@pytest.mark.parametrize("role", Role.values)
def test_any_role_in_a_brand_opens_the_admin_without_the_flag_of_the_library(role, worlds):
    amber, _ = worlds
    user = make_user(f"new.{role}", role=Role(role), brand=amber.brand)
    User.objects.filter(pk=user.pk).update(is_staff=False)
    client = Client()
    assert client.post("/admin/login/", {"username": user.username, "password": PASSWORD}).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_the_last_role_taken_away_closes_the_door_at_once(worlds):
    amber, _ = worlds
    client = signed_in(amber.auditor)
    assert client.get("/admin/").status_code == 200
    Membership.objects.filter(user=amber.auditor).delete()
    assert client.get("/admin/").status_code == 302


def test_signing_in_and_out_and_failing_to_are_in_the_trail_with_the_address():
    root = make_superuser()
    client = Client(REMOTE_ADDR="198.51.100.7")
    client.post("/admin/login/", {"username": root.username, "password": "a wrong one"})
    client.post("/admin/login/", {"username": root.username, "password": PASSWORD})
    client.post("/admin/logout/")
    assert actions_of(root) == ["user.sign_in_failed", "user.signed_in", "user.signed_out"]
    assert set(AuditEntry.objects.values_list("address", flat=True)) == {"198.51.100.7"}


def test_a_name_that_nobody_has_is_not_kept_because_it_may_be_a_password():
    Client().post("/admin/login/", {"username": "hunter2-hunter2", "password": "x"})
    entry = AuditEntry.objects.get(action="user.sign_in_failed")
    assert "hunter2" not in f"{entry.actor_name} {entry.subject_name} {entry.data}"


# --- the one rule ----------------------------------------------------------------------------------------------------


def test_another_brands_row_answers_like_one_that_does_not_exist(worlds):
    amber, birch = worlds
    client = signed_in(amber.owner)
    missing = "00000000-0000-7000-8000-000000000000"
    for name, status in (("change", 404), ("history", 404), ("delete", 403), ("do", 404)):
        answers = []
        for pk in (birch.installation.pk, missing):
            args = [pk, "pause"] if name == "do" else [pk]
            answers.append(client.get(reverse(f"admin:installations_appinstallation_{name}", args=args)))
        assert {answer.status_code for answer in answers} == {status}, name
        assert _without_ids(answers[0]) == _without_ids(answers[1]), name


def _without_ids(answer: Any) -> str:
    """The page without what differs between any two requests."""
    body = answer.content.decode()
    return body.replace(answer["X-Correlation-Id"], "") if "csrf" not in body else _cut_tokens(body)


def _cut_tokens(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if "csrfmiddlewaretoken" not in line)


def test_choices_are_limited_to_brands_in_which_the_person_may_set_up(worlds):
    amber, birch = worlds
    Membership.objects.create(user=amber.operator, brand=birch.brand, role=Role.AUDITOR)
    page = signed_in(amber.operator).get(reverse("admin:installations_account_add")).content.decode()
    options = page[page.index('name="brand"') :]
    assert str(amber.brand.pk) in options
    assert str(birch.brand.pk) not in options


def test_a_forged_choice_is_refused(worlds):
    amber, birch = worlds
    given = {"brand": str(birch.brand.pk), "lp_account_id": "777", "name": "", "domain_api": ""}
    answer = signed_in(amber.operator).post(reverse("admin:installations_account_add"), given)
    assert answer.status_code == 200
    assert not Account.objects.filter(lp_account_id="777").exists()


@pytest.mark.parametrize(
    "lookup",
    ["installation__secrets__sealed__startswith", "error_detail__startswith", "lane__consumer__name__regex", "id__gt"],
)
def test_lists_take_no_lookup_that_no_filter_offers(lookup, worlds):
    amber, _ = worlds
    answer = signed_in(amber.owner).get(reverse("admin:conversations_dispatch_changelist"), {lookup: "a"})
    assert answer.status_code == 400


def test_a_password_cannot_be_asked_for_letter_by_letter():
    answer = signed_in(make_superuser()).get(reverse("admin:access_user_changelist"), {"password__startswith": "md5"})
    assert answer.status_code == 400


def test_a_filter_offers_nothing_of_another_brand_and_takes_nothing_of_it(worlds):
    amber, birch = worlds
    client = signed_in(amber.owner)
    url = reverse("admin:conversations_conversation_changelist")
    page = client.get(url).content.decode()
    assert str(amber.channel.pk) in page
    assert not any(canary in page for canary in birch.canaries)
    assert client.get(url, {"channel": str(birch.channel.pk)}).status_code == 302
    page = client.get(url, {"brand": str(birch.brand.pk)}).content.decode()
    assert not any(canary in page for canary in birch.canaries - {str(birch.brand.pk)})


def test_rows_are_looked_up_by_their_id_alone(worlds):
    amber, _ = worlds
    url = reverse("admin:installations_account_change", args=[amber.account.lp_account_id])
    assert signed_in(amber.owner).get(url, {"_to_field": "lp_account_id"}).status_code == 400


def test_sorting_by_what_the_address_says_is_ignored(worlds):
    amber, _ = worlds
    client, url = signed_in(amber.owner), reverse("admin:conversations_dispatch_changelist")

    def listing(**asked: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url, asked).status_code == 200
        return [q["sql"] for q in queries if "conversations_dispatch" in q["sql"]]

    assert listing(o="3.-4") == listing()


LISTS = [
    "access_brand", "access_membership", "audit_auditentry", "installations_account",
    "installations_appinstallation", "installations_channel", "conversations_conversation", "conversations_message",
    "conversations_consumer", "conversations_dispatch", "webhooks_delivery",
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_counts_nothing_and_asks_little(name, worlds):
    amber, _ = worlds
    client = signed_in(amber.owner)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 200
    assert not [q["sql"] for q in queries if "COUNT(" in q["sql"].upper()]
    # Of what its rows belong to each kind is looked up once for all of them.
    assert len(queries) <= 13, [q["sql"][:120] for q in queries]


def test_a_list_asks_the_same_however_many_rows_it_shows(worlds):
    amber, _ = worlds
    client = signed_in(amber.owner)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("admin:conversations_dispatch_changelist"))
        return len(queries)

    few = statements()
    lane_id = amber.dead.lane_id
    Dispatch.objects.bulk_create(
        Dispatch(brand=amber.brand, lane_id=lane_id, position=1000 + n, kind="TEXT", state=DispatchState.DEAD)
        for n in range(40)
    )
    assert statements() == few


@pytest.fixture
def slow_lists(monkeypatch):
    """Whatever a list reads takes longer than it may."""
    monkeypatch.setattr("access.admin_records._LIST_MAY_TAKE_MS", 50)
    ranges = newest.brand_range

    def asleep(rows: Any, brand_id: Any) -> Any:
        return [one.extra(where=["pg_sleep(0.2) IS NOT NULL"]) for one in ranges(rows, brand_id)]

    monkeypatch.setattr(newest, "brand_range", asleep)


def test_a_list_that_takes_too_long_is_ended_and_says_so(worlds, slow_lists, monkeypatch):
    amber, _ = worlds
    client = signed_in(amber.owner)
    url = reverse("admin:conversations_dispatch_changelist")
    answer = client.get(url, {"state": "DEAD"})
    assert (answer.status_code, answer["Location"]) == (302, url)
    monkeypatch.undo()
    assert "Choose a time or a brand" in client.get(url).content.decode()


def test_a_list_without_filters_that_takes_too_long_leads_round_in_no_circle(worlds, slow_lists):
    amber, _ = worlds
    answer = signed_in(amber.owner).get(reverse("admin:conversations_dispatch_changelist"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "keeps the database busy" in answer.content.decode()


def test_history_is_the_trail(worlds):
    amber, _ = worlds
    url = reverse("admin:installations_appinstallation_history", args=[amber.installation.pk])
    page = signed_in(amber.auditor).get(url, follow=True).content.decode()
    assert "added the app installation" in page
    assert "added the channel" not in page.partition('id="result_list"')[2].partition("</table>")[0]


def test_the_trail_shows_before_and_after_and_the_reason(worlds):
    amber, _ = worlds
    client = signed_in(amber.owner)
    client.post(
        reverse("admin:access_brand_change", args=[amber.brand.pk]), {"name": "Renamed", "retention_days": "30"}
    )
    entry = AuditEntry.objects.get(action="brand.changed")
    page = client.get(reverse("admin:audit_auditentry_change", args=[entry.pk])).content.decode()
    assert f"{amber.mark} Limited" in page
    assert "Renamed" in page


# --- brands, people, roles -------------------------------------------------------------------------------------------


def test_who_runs_the_site_adds_a_brand_and_the_trail_has_it():
    root = make_superuser()
    given = {"name": "Cedar", "slug": "cedar", "retention_days": "30"}
    answer = signed_in(root).post(reverse("admin:access_brand_add"), given)
    brand = Brand.objects.get(slug="cedar")
    assert answer["Location"] == reverse("admin:access_brand_change", args=[brand.pk])
    entry = AuditEntry.objects.get(action="brand.created")
    assert (entry.brand_id, entry.actor_id, entry.data["retention_days"]) == (brand.pk, str(root.pk), 30)


def test_an_owner_changes_the_brand_but_not_its_short_name_and_adds_none(worlds):
    amber, _ = worlds
    client = signed_in(amber.owner)
    given = {"name": "New name", "slug": "other", "retention_days": "7"}
    client.post(reverse("admin:access_brand_change", args=[amber.brand.pk]), given)
    changed = Brand.objects.get(pk=amber.brand.pk)
    assert (changed.name, changed.retention_days, changed.slug) == ("New name", 7, amber.brand.slug)
    entry = AuditEntry.objects.get(action="brand.changed")
    assert entry.data == {"name": [amber.brand.name, "New name"], "retention_days": [90, 7]}
    assert client.get(reverse("admin:access_brand_add")).status_code == 403


@pytest.mark.parametrize("days", ["0", "36501", "2147483647", "2147483648"])
def test_contents_are_kept_for_a_day_at_least_and_a_hundred_years_at_most(days, worlds):
    amber, _ = worlds
    given = {"name": amber.brand.name, "retention_days": days}
    page = signed_in(amber.owner).post(reverse("admin:access_brand_change", args=[amber.brand.pk]), given)
    assert "Ensure this value is" in page.content.decode()
    assert Brand.objects.get(pk=amber.brand.pk).retention_days == 90


def test_contents_expire_by_the_days_of_utc_wherever_their_time_was_written():
    brand = Brand(retention_days=30)
    late_in_auckland = datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=13)))
    assert brand.expires_on(late_in_auckland) == date(2026, 12, 21)
    assert brand.expires_on(datetime(2026, 11, 21, 23, 59, tzinfo=UTC)) == date(2026, 12, 21)


def test_saving_without_a_change_leaves_no_entry(worlds):
    amber, _ = worlds
    given = {"name": amber.brand.name, "retention_days": str(amber.brand.retention_days)}
    signed_in(amber.owner).post(reverse("admin:access_brand_change", args=[amber.brand.pk]), given)
    assert not AuditEntry.objects.filter(action="brand.changed").exists()


@pytest.mark.parametrize("who", ["operator", "auditor"])
def test_operators_and_auditors_change_neither_brand_nor_roles(who, worlds):
    amber, _ = worlds
    client = signed_in(getattr(amber, who))
    url = reverse("admin:access_brand_change", args=[amber.brand.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "x", "retention_days": "1"}).status_code == 403
    assert client.get(reverse("admin:access_membership_add")).status_code == 403


def test_an_owner_gives_changes_and_takes_a_role_in_their_brand(worlds):
    amber, _ = worlds
    newcomer = make_user("newcomer")
    client = signed_in(amber.owner)
    given = {"username": "newcomer", "brand": str(amber.brand.pk), "role": "AUDITOR"}
    client.post(reverse("admin:access_membership_add"), given)
    membership = Membership.objects.get(user=newcomer)
    client.post(reverse("admin:access_membership_change", args=[membership.pk]), {"role": "OPERATOR"})
    client.post(reverse("admin:access_membership_delete", args=[membership.pk]), {"post": "yes"})
    assert actions_of(membership) == ["membership.created", "membership.changed", "membership.deleted"]
    assert not Membership.objects.filter(user=newcomer).exists()
    changed = AuditEntry.objects.get(action="membership.changed")
    assert (changed.brand_id, changed.data["role"]) == (amber.brand.pk, ["AUDITOR", "OPERATOR"])


@pytest.mark.parametrize("brand", ["other", "all"])
def test_an_owner_gives_no_role_in_another_brand_nor_in_all(brand, worlds):
    amber, birch = worlds
    make_user("newcomer")
    given = {"username": "newcomer", "brand": str(birch.brand.pk) if brand == "other" else "", "role": "OWNER"}
    assert signed_in(amber.owner).post(reverse("admin:access_membership_add"), given).status_code == 200
    assert not Membership.objects.filter(user__username="newcomer").exists()


def test_an_owner_of_all_brands_makes_no_other_owner_of_all_brands(worlds):
    boss = make_user("boss", role=Role.OWNER)
    make_user("newcomer")
    client = signed_in(boss)
    given = {"username": "newcomer", "brand": "", "role": "OWNER"}
    assert client.post(reverse("admin:access_membership_add"), given).status_code == 200
    assert not Membership.objects.filter(user__username="newcomer").exists()
    own = boss.memberships.get()
    assert client.post(reverse("admin:access_membership_delete", args=[own.pk]), {"post": "yes"}).status_code == 403


def test_who_runs_the_site_gives_a_role_in_all_brands():
    make_user("newcomer")
    given = {"username": "newcomer", "brand": "", "role": "AUDITOR"}
    signed_in(make_superuser()).post(reverse("admin:access_membership_add"), given)
    assert Membership.objects.get(user__username="newcomer").brand_id is None


def test_a_second_role_in_the_same_brand_is_refused_beside_the_field(worlds):
    amber, _ = worlds
    given = {"username": amber.auditor.username, "brand": str(amber.brand.pk), "role": "OWNER"}
    page = signed_in(amber.owner).post(reverse("admin:access_membership_add"), given).content.decode()
    assert "This person has a role there already" in page


@pytest.mark.parametrize("who", ["owner", "operator", "auditor"])
def test_people_are_for_who_runs_the_site(who, worlds):
    amber, _ = worlds
    client = signed_in(getattr(amber, who))
    assert client.get(reverse("admin:access_user_changelist")).status_code == 403
    assert client.get(reverse("admin:access_user_add")).status_code == 403
    assert client.get(f"/admin/access/user/{amber.owner.pk}/password/").status_code == 403
    assert 'href="/admin/access/user/"' not in client.get("/admin/").content.decode()


def test_who_runs_the_site_adds_changes_and_sets_the_password_of_a_person():
    client = signed_in(make_superuser())
    words = "four unlikely words here"
    client.post(reverse("admin:access_user_add"), {"username": "ada", "password1": words, "password2": words})
    ada = User.objects.get(username="ada")
    url = reverse("admin:access_user_change", args=[ada.pk])
    client.post(url, {"username": "ada", "first_name": "Ada", "last_name": "", "email": "", "is_active": "on"})
    other = "four other unlikely words"
    client.post(
        f"/admin/access/user/{ada.pk}/password/",
        {"password1": other, "password2": other, "usable_password": "true", "set-password": "1"},
    )
    assert actions_of(ada) == ["user.created", "user.changed", "user.changed"]
    assert User.objects.get(pk=ada.pk).check_password(other)
    told = repr(list(AuditEntry.objects.values_list("data", flat=True)))
    assert words not in told
    assert other not in told
    assert "md5" not in told


def test_the_page_of_a_person_leads_to_their_roles():
    client, person = signed_in(make_superuser()), make_user("iris")
    url = reverse("admin:access_user_change", args=[person.pk])
    give = reverse("admin:access_membership_add") + "?username=iris"
    before = client.get(url).content.decode()
    Membership.objects.create(user=person, brand=None, role=Role.AUDITOR)
    after = client.get(url).content.decode()

    assert "Without a role this person cannot sign in" in before
    assert 'value="iris"' in client.get(give).content.decode()
    assert "Without a role" not in after
    assert f'{reverse("admin:access_membership_changelist")}?q=iris"' in after
    assert all(give in page for page in (before, after))


def test_what_bears_the_same_name_in_two_brands_is_offered_with_its_brand(worlds):
    amber, birch = worlds
    for one in worlds:
        type(one.channel).objects.filter(pk=one.channel.pk).update(name="App")
        type(one.installation).objects.filter(pk=one.installation.pk).update(name="App")
    add_channel = reverse("admin:installations_channel_add")
    listed = reverse("admin:conversations_conversation_changelist")
    everybodys, own = signed_in(make_superuser()), signed_in(amber.owner)

    for page in (everybodys.get(add_channel), everybodys.get(listed)):
        assert f"App, {amber.brand.name}" in page.content.decode()
        assert f"App, {birch.brand.name}" in page.content.decode()
    assert f"App, {amber.brand.name}" not in own.get(add_channel).content.decode()


def test_what_is_set_up_is_found_by_a_part_of_its_name_or_id(worlds):
    amber, birch = worlds
    client = signed_in(make_superuser())
    asked = [(f"access_{name}", "mBerXq") for name in ("brand", "user", "membership")]
    asked += [(f"installations_{name}", "mBerXq") for name in ("account", "appinstallation", "channel")]
    asked += [("installations_account", amber.account.lp_account_id[1:])]
    asked += [("installations_appinstallation", amber.installation.client_id[-9:])]
    asked += [("installations_channel", str(amber.channel.pk))]
    for listed, term in asked:
        page = client.get(reverse(f"admin:{listed}_changelist"), {"q": term}).content.decode()
        rows = " ".join(re.findall(r"(?s)<tbody.*?</tbody>", page))
        assert amber.mark in rows, listed
        assert birch.mark not in rows, listed


def test_the_last_person_who_runs_the_site_stays():
    root = make_superuser()
    given = {"username": root.username, "first_name": "", "last_name": "", "email": "", "is_active": "on"}
    page = signed_in(root).post(reverse("admin:access_user_change", args=[root.pk]), given).content.decode()
    assert "the last person who runs the site" in page
    assert User.objects.get(pk=root.pk).is_superuser


def test_ones_own_new_password_is_in_the_trail(worlds):
    amber, _ = worlds
    words = "four unlikely words here"
    signed_in(amber.auditor).post(
        "/admin/password_change/", {"old_password": PASSWORD, "new_password1": words, "new_password2": words}
    )
    entry = AuditEntry.objects.get(action="user.changed")
    assert (entry.actor_id, entry.data) == (str(amber.auditor.pk), {"changed": ["password"]})


# --- the overview ----------------------------------------------------------------------------------------------------


def test_the_overview_leads_to_what_needs_somebody_and_shows_no_other_brand(worlds):
    amber, birch = worlds
    page = signed_in(amber.operator).get("/admin/").content.decode()
    listed = reverse("admin:conversations_dispatch_changelist")
    for state in ("UNKNOWN", "PARKED", "DEAD"):
        assert f"{listed}?state={state}" in page
    assert "No worker gives a sign of life" in page
    assert not any(canary in page for canary in birch.canaries)


def test_the_overview_names_paused_connectors_with_their_reason(worlds):
    amber, _ = worlds
    amber.installation.state, amber.installation.state_reason = "PAUSED", "the contract ends"
    amber.installation.save()
    page = signed_in(amber.auditor).get("/admin/").content.decode()
    assert "Paused" in page
    assert "the contract ends" in page


def test_the_overview_asks_the_same_however_many_brands_there_are(worlds):
    client = signed_in(make_superuser())

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/admin/").status_code == 200
        return len(queries)

    few = statements()
    Brand.objects.bulk_create(Brand(slug=f"brand-{n}", name=f"Brand {n}") for n in range(20))
    assert statements() == few
    assert few <= 17


# --- times and lists without rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=lambda model: model._meta.label))
def test_a_list_without_rows_says_what_to_do(model: Any) -> None:
    root = make_superuser()
    listed = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    page = signed_in(root).get(listed).content.decode()
    if model in (User, AuditEntry):
        assert root.username in page  # who looks is in it, and that they signed in
        return
    assert admin.site._registry[model].empty_text in html.unescape(page)
    assert "Nothing fits" in signed_in(root).get(listed, {"q": "nothing"}).content.decode()


# Times, and what holds words of others or of a program. A choice in a form holds no element: it says UTC.
_SAYS_ITS_ZONE = re.compile(r"<(time|pre|code|script)\b.*?</\1>|[\d: -]{16,19} UTC", flags=re.DOTALL)
_WRITTEN_OUT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\d [A-Z][a-z]{2,8}\.? \d{4},? \d")


def test_every_time_on_every_page_is_told_in_the_readers_zone() -> None:
    world = make_world(slug="amber", mark="Amberly")
    found = []
    for page in walk.pages(signed_in(make_superuser()), world, at_most=1):
        shown = re.sub(r"<[^>]*>", " ", _SAYS_ITS_ZONE.sub("", page.html))
        found += [f"{page.kind}: {text}" for text in _WRITTEN_OUT.findall(shown)]
    assert found == []
