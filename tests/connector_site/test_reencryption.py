"""Secrets move to the newest key while the site runs: all of them, once, bound to their rows, in the trail."""

from __future__ import annotations

import io
import json
import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models

from audit.models import AuditEntry
from connector_site import reencryption
from connector_site.reencryption import sealed_models
from conversations.models import Consumer, ConsumerToken, Erasure
from core.encryption import SealBroken
from core.ids import new_id
from core.vault import key_ring
from installations.models import AppToken, ChannelSecret, InstallationSecret
from tests.factories import World, make_two_brands

pytestmark = pytest.mark.django_db

SECRETS_OF_A_WORLD = 6


@pytest.fixture
def rotate(settings) -> Any:
    """Puts a new key first, as an operator does; `keep=False` forgets the older ones."""

    def rotate(*, keep: bool = True) -> None:
        new = b64encode(secrets.token_bytes(32)).decode()
        settings.ENCRYPTION_KEYS = f"{new},{settings.ENCRYPTION_KEYS}" if keep else new
        key_ring.cache_clear()

    yield rotate
    key_ring.cache_clear()


@pytest.fixture(autouse=True)
def _fresh_ring(settings):
    yield
    # After `settings` was restored by pytest-django the ring of other tests has to be the usual one.
    key_ring.cache_clear()


@pytest.fixture
def worlds() -> tuple[World, World]:
    return make_two_brands()


def run() -> tuple[dict[str, Any], int]:
    """The report and the exit status."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("reencrypt", stdout=out, stderr=err)
    except SystemExit as end:
        return json.loads(out.getvalue()), int(str(end.code))
    return json.loads(out.getvalue()), 0


def secrets_in_the_clear() -> dict[tuple[str, str], bytes]:
    found = {}
    for model in sealed_models():
        for row in model._default_manager.exclude(sealed=None):
            found[model._meta.db_table, str(row.pk)] = key_ring().open(row.sealed, context=row.seal_context)
    return found


def test_every_column_that_holds_a_secret_is_known():
    assert set(sealed_models()) == {InstallationSecret, ChannelSecret, AppToken, ConsumerToken, Erasure}
    encrypted = {
        model
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.BinaryField) and "encrypted" in field.help_text
    }
    assert encrypted == set(sealed_models())


def test_every_secret_moves_and_reads_the_same(worlds, rotate):
    before = secrets_in_the_clear()
    rotate()
    report, status = run()
    assert (status, report["moved"], report["newest_already"]) == (0, 2 * SECRETS_OF_A_WORLD, 0)
    assert report["tables"]["installations_installationsecret"] == 4
    assert len(before) == 2 * SECRETS_OF_A_WORLD
    assert secrets_in_the_clear() == before


def test_afterwards_the_old_key_may_go(worlds, rotate, settings):
    before = secrets_in_the_clear()
    rotate()
    run()
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS.split(",")[0]
    key_ring.cache_clear()
    assert secrets_in_the_clear() == before


def test_a_second_run_changes_nothing_and_records_nothing(worlds, rotate):
    rotate()
    run()
    entries = AuditEntry.objects.count()
    sealed = {row.pk: bytes(row.sealed) for row in InstallationSecret.objects.all()}
    report, status = run()
    assert (status, report["moved"], report["newest_already"]) == (0, 0, 2 * SECRETS_OF_A_WORLD)
    assert AuditEntry.objects.count() == entries
    assert {row.pk: bytes(row.sealed) for row in InstallationSecret.objects.all()} == sealed


def test_the_trail_says_for_each_brand_how_many_were_moved(worlds, rotate):
    rotate()
    run()
    for world in worlds:
        entries = AuditEntry.objects.filter(action="secrets.reencrypted", brand=world.brand)
        assert sum(entry.data["count"] for entry in entries) == SECRETS_OF_A_WORLD
        assert {entry.actor_kind for entry in entries} == {"COMMAND"}
        assert world.mark not in json.dumps([entry.data for entry in entries])


def test_a_run_that_was_stopped_is_resumed(worlds, rotate, monkeypatch):
    before = secrets_in_the_clear()
    rotate()
    monkeypatch.setattr(reencryption, "BATCH", 1)
    stop_after(monkeypatch, batches=3)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    report, status = run()
    assert (status, report["newest_already"], report["moved"]) == (0, 3, 2 * SECRETS_OF_A_WORLD - 3)
    assert secrets_in_the_clear() == before


def stop_after(monkeypatch: pytest.MonkeyPatch, *, batches: int) -> None:
    real, done = reencryption._move, []

    def stopped(*arguments: Any, **named: Any) -> None:
        if len(done) == batches:
            raise KeyboardInterrupt
        real(*arguments, **named)
        done.append(1)

    monkeypatch.setattr(reencryption, "_move", stopped)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Does something after a batch was read and before it is written."""
    real = reencryption._move

    def move(model: Any, rows: Any, **named: Any) -> None:
        if model is AppToken:
            act()
        real(model, rows, **named)

    monkeypatch.setattr(reencryption, "_move", move)


def test_a_token_renewed_meanwhile_is_not_overwritten(worlds, rotate, monkeypatch):
    amber, _ = worlds
    rotate()
    renewals = []

    def renew() -> None:
        if not renewals:
            renewals.append(1)
            row = AppToken.objects.get(pk=amber.installation.pk)
            row.keep("eyJ.renewed", row.expires_at)
            row.save()

    meanwhile(monkeypatch, renew)
    _, status = run()
    assert status == 0
    assert AppToken.objects.get(pk=amber.installation.pk).reveal() == "eyJ.renewed"


def test_a_token_renewed_under_the_old_key_meanwhile_is_moved_too(worlds, rotate, settings, monkeypatch):
    amber, _ = worlds
    row = AppToken.objects.get(pk=amber.installation.pk)
    row.keep("eyJ.renewed", row.expires_at)  # as a process does that was not restarted
    under_old_key = bytes(row.sealed)
    rotate()
    renewals = []

    def renew() -> None:
        if not renewals:
            renewals.append(1)
            AppToken.objects.filter(pk=row.pk).update(sealed=under_old_key)

    meanwhile(monkeypatch, renew)
    _, status = run()
    found = AppToken.objects.get(pk=row.pk)
    assert status == 0
    assert (found.reveal(), key_ring().is_newest(found.sealed)) == ("eyJ.renewed", True)


def test_a_process_that_keeps_writing_under_the_old_key_is_reported(worlds, rotate, monkeypatch):
    amber, _ = worlds
    under_old_key = bytes(AppToken.objects.get(pk=amber.installation.pk).sealed)
    rotate()
    real = reencryption._pass

    def write_and_pass(**named: Any) -> Any:
        AppToken.objects.filter(pk=amber.installation.pk).update(sealed=under_old_key)
        return real(**named)

    monkeypatch.setattr(reencryption, "_pass", write_and_pass)
    report, status = run()
    assert status == 1
    assert report["remaining"] > 0


def test_what_cannot_be_opened_is_named_and_the_others_move(worlds, rotate):
    amber, birch = worlds
    InstallationSecret.objects.filter(brand=birch.brand).delete()
    rotate(keep=False)
    before_lost = {row.pk: bytes(row.sealed) for row in InstallationSecret.objects.all()}
    fresh = InstallationSecret(brand=birch.brand, installation=birch.installation)
    fresh.keep(b"readable")
    fresh.save()
    rotate()
    report, status = run()
    assert status == 1
    assert {"table": "installations_installationsecret", "id": str(min(before_lost))} in report["unreadable"]
    assert report["tables"]["installations_installationsecret"] == 1
    after = {row.pk: bytes(row.sealed) for row in InstallationSecret.objects.filter(pk__in=before_lost)}
    assert after == before_lost


def test_two_secrets_that_change_places_do_not_open(worlds):
    for model in sealed_models():
        one, other = model._default_manager.exclude(sealed=None)[:2]
        one.sealed, other.sealed = other.sealed, one.sealed
        for row in (one, other):
            with pytest.raises(SealBroken):
                row.reveal()


def test_a_secret_moved_to_another_table_does_not_open(worlds):
    amber, _ = worlds
    secret = InstallationSecret.objects.filter(brand=amber.brand).first()
    elsewhere = ChannelSecret(pk=secret.pk, brand=amber.brand, channel=amber.channel, sealed=secret.sealed)
    with pytest.raises(SealBroken):
        elsewhere.reveal()


def test_no_secret_stands_in_the_database_in_the_clear(worlds):
    with connection.cursor() as cursor:
        for model in sealed_models():
            cursor.execute(f"SELECT string_agg(encode(sealed, 'escape'), ' ') FROM {model._meta.db_table}")
            stored = cursor.fetchone()[0]
            for world in worlds:
                assert world.mark not in stored


def test_thousands_of_secrets_move_in_batches(worlds, rotate):
    amber, _ = worlds
    consumers = [
        Consumer(
            brand=amber.brand, account=amber.account, channel=amber.channel, ext_consumer_id=f"x:{number}",
            channel_consumer_id=str(number), search_hash=b"x", id=new_id(),
        )
        for number in range(1_200)
    ]  # fmt: skip
    Consumer.objects.bulk_create(consumers)
    tokens = [ConsumerToken(consumer=consumer, installation=amber.installation) for consumer in consumers]
    for token in tokens:
        token.keep("eyJ.many")
    ConsumerToken.objects.bulk_create(tokens)
    rotate()
    report, status = run()
    assert (status, report["tables"]["conversations_consumertoken"]) == (0, 1_202)
    assert {row.reveal() for row in ConsumerToken.objects.filter(consumer__in=consumers)} == {"eyJ.many"}
