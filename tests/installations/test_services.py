"""What is done to connectors: secrets, pauses, and what the process remembers of them."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps

from audit.models import AuditEntry
from conversations.models import Direction
from core.actor import COMMAND
from core.encryption import SealBroken
from core.errors import ConfigurationError
from installations import pausing, services
from installations.connectors import get_connector, secrets_of
from installations.models import AppInstallation, Channel, InstallationSecret, Pause, PausedDirection, PausedFor, State
from tests.conversations.stand import Door, Stand, make_door


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_the_newest_secret_comes_first(door: Door) -> None:
    services.add_client_secret(door.installation, secret="second", actor=COMMAND)
    services.add_client_secret(door.installation, secret="third", actor=COMMAND)

    assert secrets_of(door.installation) == ("third", "second", door.client_secret)


def test_a_secret_that_is_there_is_not_added_again(door: Door) -> None:
    assert services.add_client_secret(door.installation, secret=f" {door.client_secret}\n", actor=COMMAND) is None
    assert InstallationSecret.objects.count() == 1


def test_an_empty_secret_is_refused(door: Door) -> None:
    with pytest.raises(ConfigurationError, match="The client secret is empty"):
        services.add_client_secret(door.installation, secret=" \n", actor=COMMAND)


def test_a_retired_secret_is_not_used_any_more(door: Door) -> None:
    first = door.installation.secrets.get()
    services.add_client_secret(door.installation, secret="second", actor=COMMAND)

    services.retire_client_secret(first, actor=COMMAND)

    assert secrets_of(door.installation) == ("second",)
    assert actions()[-1] == "installation.secret.retired"


def test_the_last_secret_cannot_be_retired(door: Door) -> None:
    with pytest.raises(ConfigurationError, match="This is the only valid secret"):
        services.retire_client_secret(door.installation.secrets.get(), actor=COMMAND)
    with pytest.raises(ConfigurationError, match="This is the only valid secret"):
        services.retire_channel_secret(door.channel.secrets.get(), actor=COMMAND)


def test_a_secret_moved_to_another_row_does_not_open(door: Door) -> None:
    other = make_door(brand="other", account="87654321")
    stolen = door.installation.secrets.get()
    target = other.installation.secrets.get()
    InstallationSecret.objects.filter(pk=target.pk).update(sealed=stolen.sealed)

    with pytest.raises(SealBroken, match="does not belong to its row"):
        InstallationSecret.objects.get(pk=target.pk).reveal()


def test_a_secret_is_never_shown_by_its_row(door: Door) -> None:
    row = door.installation.secrets.get()

    assert door.client_secret not in f"{row} {row!r} {vars(row)}"
    assert door.client_secret not in repr(get_connector(door.channel.pk))


def test_a_pause_and_its_end_are_in_the_trail_with_their_reasons(door: Door) -> None:
    installation = door.installation
    pausing.pause(installation, actor=COMMAND, reason="maintenance")
    assert (installation.state, installation.state_reason) == (State.PAUSED, "maintenance")
    assert installation.state_changed_at is not None

    pausing.resume(installation, actor=COMMAND)

    assert (door.installation.state, door.installation.state_reason) == (State.ACTIVE, "")
    assert actions()[-2:] == ["installation.paused", "installation.resumed"]


def test_a_change_made_here_shows_at_once(door: Door) -> None:
    assert get_connector(door.channel.pk).blocked_by == ""

    pausing.pause(door.channel, actor=COMMAND, reason="maintenance")
    assert get_connector(door.channel.pk).blocked_by == "channel_paused"

    pausing.resume(door.channel, actor=COMMAND)
    pausing.pause(door.installation, actor=COMMAND, reason="maintenance")
    assert get_connector(door.channel.pk).blocked_by == "installation_paused"


def test_a_change_made_elsewhere_shows_within_seconds(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    get_connector(door.channel.pk)
    AppInstallation.objects.update(state=State.PAUSED)
    monkeypatch.setattr("installations.connectors.KEPT_S", 0.0)

    assert get_connector(door.channel.pk).blocked_by == "installation_paused"


def test_a_new_secret_does_not_end_a_pause_that_a_person_made(door: Door) -> None:
    pausing.pause(door.installation, actor=COMMAND, reason="maintenance")

    services.add_client_secret(door.installation, secret="second", actor=COMMAND)

    assert door.installation.state == State.PAUSED


def test_a_new_secret_does_not_end_a_persons_pause_whatever_words_it_has(door: Door) -> None:
    pausing.pause(door.installation, actor=COMMAND, reason="credentials rejected by our auditors")

    services.add_client_secret(door.installation, secret="second", actor=COMMAND)

    assert door.installation.state == State.PAUSED


def test_what_is_resumed_and_paused_again_by_a_person_is_paused_by_that_person(door: Door) -> None:
    services.pause_for_credentials(door.installation.pk, detail="LivePerson gave no AppJWT.")
    pausing.resume(door.installation, actor=COMMAND)
    assert door.installation.paused_for == ""

    pausing.pause(door.installation, actor=COMMAND, reason="maintenance")
    services.add_client_secret(door.installation, secret="second", actor=COMMAND)

    assert door.installation.state == State.PAUSED


def test_what_older_versions_said_in_words_is_known_by_its_code(door: Door) -> None:
    words = "credentials rejected: LivePerson gave no AppJWT."
    AppInstallation.objects.update(state=State.PAUSED, state_reason=words)
    Channel.objects.update(state=State.PAUSED, state_reason="credentials are being changed")

    import_module("installations.migrations.0002_paused_for").tell_by_code(apps, None)

    assert door.installation.paused_for == PausedFor.CREDENTIALS_REJECTED
    assert door.installation.state_reason == "LivePerson gave no AppJWT."
    assert door.channel.paused_for == ""


def test_what_was_paused_before_pauses_were_rows_gets_one_with_who_and_when_by_the_trail(door: Door) -> None:
    pausing.pause(door.installation, actor=COMMAND, reason="the shop moves")
    before = Pause.objects.get()
    Pause.objects.all().delete()

    import_module("installations.migrations.0006_pauses").make_rows(apps, None)

    made = Pause.objects.get()
    assert (made.scope, made.target_id, made.direction) == ("INSTALLATION", door.installation.pk, "BOTH")
    assert (made.reason, made.by_name, made.target_name) == ("the shop moves", COMMAND.name, before.target_name)
    assert abs(made.began_at - before.began_at) < timedelta(seconds=5)
    pausing.resume(door.installation, actor=COMMAND)
    assert not Pause.objects.filter(ended_at=None).exists()


def test_the_directions_of_pauses_are_those_of_lanes() -> None:
    single = [one for one in PausedDirection if one is not PausedDirection.BOTH]
    assert {one.value for one in single} == {one.value for one in Direction}
    assert all(one.covers(other) == (one.value == other) for one in single for other in Direction)


def test_a_new_secret_ends_a_pause_for_rejected_credentials_although_the_form_was_opened_before(door: Door) -> None:
    opened = door.installation
    services.pause_for_credentials(opened.pk, detail="LivePerson gave no AppJWT.")

    services.add_client_secret(opened, secret="second", actor=COMMAND)

    assert door.installation.state == State.ACTIVE


def test_credentials_that_are_rejected_twice_pause_once(door: Door) -> None:
    for _ in range(2):
        services.pause_for_credentials(door.installation.pk, detail="LivePerson gave no AppJWT.")

    assert actions().count("installation.credentials_rejected") == 1
    assert door.installation.paused_for == PausedFor.CREDENTIALS_REJECTED
    assert door.installation.state_reason == "LivePerson gave no AppJWT."


def test_a_connection_without_a_secret_fails_with_a_sentence(door: Door) -> None:
    InstallationSecret.objects.all().delete()

    tested = services.test_connection(door.installation, actor=COMMAND)

    assert (tested.test_passed, tested.test_detail) == (False, "There is no valid client secret. Add one.")


def test_a_connection_passes_by_an_older_secret_and_says_so(stand: Stand) -> None:
    services.add_client_secret(stand.installation, secret="secret-of-tomorrow", actor=COMMAND)

    tested = services.test_connection(stand.installation, actor=COMMAND)

    assert tested.test_passed is True
    assert tested.test_detail == ("LivePerson issued a token. The newest secret is not accepted yet, an older one is.")


def test_a_connection_that_cannot_be_reached_fails_with_a_sentence(door: Door) -> None:
    tested = services.test_connection(door.installation, actor=COMMAND)

    assert tested.test_passed is False
    assert "Nothing was sent. Check the network" in tested.test_detail
    assert door.client_secret not in tested.test_detail
    assert actions()[-1] == "installation.tested"


def test_of_two_who_disable_it_one_does_and_its_reason_stays(world):
    installation = AppInstallation.objects.get(pk=world.installation.pk)
    services.disable(world.installation, actor=COMMAND, reason="it has moved")
    with pytest.raises(ConfigurationError, match="disabled already"):
        services.disable(installation, actor=COMMAND, reason="another reason")
    assert AppInstallation.objects.get(pk=installation.pk).state_reason == "it has moved"
    assert AuditEntry.objects.filter(action="installation.disabled").count() == 1
