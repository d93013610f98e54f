"""Forms of brands, people and roles that two people have open at once."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from access import services
from access.models import Brand, Membership, Role, User
from audit.models import AuditEntry
from core.actor import COMMAND
from core.errors import ConfigurationError
from tests.admin_pages import signed_in, url_of
from tests.factories import make_superuser, make_user, make_world

pytestmark = pytest.mark.django_db


def opened(client: Client, row: Any) -> dict[str, str]:
    """What a form holds of the row as its page shows it."""
    page = client.get(url_of(row)).content.decode()
    (seen,) = re.findall(r'name="seen" value="([0-9a-f]{32})"', page)
    return {"seen": seen}


def told(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def test_who_was_made_inactive_meanwhile_is_not_let_in_again_by_an_old_form():
    client, person = signed_in(make_superuser()), make_user("iris")
    User.objects.filter(pk=person.pk).update(is_superuser=True)
    old = {"username": "iris", "first_name": "", "last_name": "", "is_active": "on", "is_superuser": "on"}
    old |= opened(client, person)
    User.objects.filter(pk=person.pk).update(is_active=False, is_superuser=False)

    answer = client.post(url_of(person), {**old, "email": "new@example.com"})

    assert "Somebody has changed this since you opened it, so nothing was stored." in told(answer)
    assert "Active: no; Runs the site: no" in told(answer)
    stored = User.objects.get(pk=person.pk)
    assert (stored.is_active, stored.is_superuser, stored.email) == (False, False, "iris@example.com")


def test_an_old_form_does_not_shorten_how_long_contents_are_kept():
    world = make_world(slug="amber", mark="amber")
    client = signed_in(world.owner)
    old = {"name": "Renamed", "retention_days": str(world.brand.retention_days), **opened(client, world.brand)}
    Brand.objects.filter(pk=world.brand.pk).update(retention_days=3650)

    client.post(url_of(world.brand), old)

    assert Brand.objects.get(pk=world.brand.pk).retention_days == 3650


def test_an_old_form_does_not_give_a_role_back():
    world = make_world(slug="amber", mark="amber")
    role = Membership.objects.create(user=make_user("iris"), brand=world.brand, role=Role.OWNER)
    client = signed_in(world.owner)
    old = {"role": "OWNER", **opened(client, role)}
    Membership.objects.filter(pk=role.pk).update(role=Role.AUDITOR)

    client.post(url_of(role), old)

    assert Membership.objects.get(pk=role.pk).role == Role.AUDITOR


def test_what_is_entered_in_the_face_of_what_is_stored_is_taken():
    world = make_world(slug="amber", mark="amber")
    client = signed_in(world.owner)
    mine = {"name": "Renamed", "retention_days": "30", **opened(client, world.brand)}
    Brand.objects.filter(pk=world.brand.pk).update(retention_days=3650)
    (again,) = re.findall(r'name="seen" value="([0-9a-f]{32})"', told(client.post(url_of(world.brand), mine)))

    client.post(url_of(world.brand), {**mine, "seen": again})

    assert Brand.objects.get(pk=world.brand.pk).retention_days == 30


def test_a_role_that_is_gone_is_neither_changed_nor_taken_away_again():
    world = make_world(slug="amber", mark="amber")
    role = Membership.objects.create(user=make_user("iris"), brand=world.brand, role=Role.OWNER)
    as_read = Membership.objects.get(pk=role.pk)
    services.take_role_away(role, actor=COMMAND)

    services.take_role_away(Membership(pk=as_read.pk, user=as_read.user, brand=as_read.brand), actor=COMMAND)
    with pytest.raises(ConfigurationError, match="taken away"):
        services.change_role(as_read, actor=COMMAND)

    assert AuditEntry.objects.filter(action="membership.deleted").count() == 1
