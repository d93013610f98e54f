"""`manage.py onboard`: from credentials to a connector that works, safe to repeat."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from access.models import Brand
from audit.models import AuditEntry
from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret
from tests.conversations.stand import Stand, in_thread

CLIENT_ID = "0f0e0d0c-1111-4222-8333-444455556666"
SECRET = "canary-client-secret"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def run(secret_file: Path, **options: Any) -> dict[str, Any]:
    """The object that the command prints."""
    out, err = io.StringIO(), io.StringIO()
    given = {"brand": "acme", "account": "12345678", "client_id": CLIENT_ID, "channel": "custom", "no_test": True}
    call_command("onboard", secret_file=str(secret_file), stdout=out, stderr=err, **{**given, **options})
    text = out.getvalue()
    assert SECRET not in text + err.getvalue()
    told: dict[str, Any] = json.loads(text)
    return told


def refusal(secret_file: Path, **options: Any) -> str:
    """The sentence with which it refuses; nothing is left behind."""
    with pytest.raises(CommandError) as caught:
        run(secret_file, **options)
    assert SECRET not in str(caught.value)
    return str(caught.value)


# --- what it prints --------------------------------------------------------------------------------------------------


def test_it_prints_ids_urls_the_manifest_and_the_channels_new_secret(db: None, secret_file: Path) -> None:
    told = run(secret_file)

    assert set(told) == {
        "brand", "account", "installation", "channel", "liveperson_webhook_url", "channel_webhook_url",
        "channel_secret", "manifest",
    }  # fmt: skip
    ids = {name: uuid.UUID(told[name]) for name in ("brand", "account", "installation", "channel")}
    assert Brand.objects.get().pk == ids["brand"]
    assert Account.objects.get().pk == ids["account"]
    assert AppInstallation.objects.get().pk == ids["installation"]
    assert Channel.objects.get().pk == ids["channel"]
    assert told["liveperson_webhook_url"].endswith(f"/webhooks/liveperson/{ids['installation']}/")
    assert told["channel_webhook_url"].endswith(f"/webhooks/channels/{ids['channel']}/")
    assert told["channel_secret"].startswith("whsec_")


def test_the_manifest_subscribes_to_every_kind_of_event_at_our_own_url(db: None, secret_file: Path) -> None:
    told = run(secret_file)

    webhooks = told["manifest"]["capabilities"]["webhooks"]
    endpoints = {
        name: entry["endpoint"] for name, entry in webhooks.items() if isinstance(entry, dict) and "endpoint" in entry
    }
    assert set(endpoints) >= {
        "cqm.ExConversationChangeNotification",
        "ms.MessagingEventNotification.ContentEvent",
        "ms.MessagingEventNotification.RichContentEvent",
        "ms.MessagingEventNotification.AcceptStatusEvent",
        "ms.MessagingEventNotification.ChatStateEvent",
    }
    assert set(endpoints.values()) == {told["liveperson_webhook_url"]}


def test_a_liveperson_that_is_given_the_manifest_delivers_to_us(stand: Stand, secret_file: Path) -> None:
    manifest = run(secret_file, account=stand.account, brand="acme")["manifest"]

    made = stand.simulator.control("POST", f"accounts/{stand.account}/installs", manifest)

    assert set(made) == {"client_id", "client_secret"}


def test_a_channel_secret_that_was_given_is_used_and_not_printed(db: None, secret_file: Path, tmp_path: Path) -> None:
    from adapters.registry import get_adapter

    given = get_adapter("custom").new_secret()
    (tmp_path / "channel").write_text(given)

    told = run(secret_file, channel_secret_file=str(tmp_path / "channel"))

    assert "channel_secret" not in told
    assert ChannelSecret.objects.get().reveal() == given.encode()


# --- repeated --------------------------------------------------------------------------------------------------------


def test_the_same_again_changes_nothing_and_shows_no_secret(db: None, secret_file: Path) -> None:
    first = run(secret_file)
    entries = AuditEntry.objects.count()

    again = run(secret_file)

    assert again == {name: value for name, value in first.items() if name != "channel_secret"}
    assert (InstallationSecret.objects.count(), ChannelSecret.objects.count()) == (1, 1)
    assert AuditEntry.objects.count() == entries


def test_a_new_secret_is_added_and_none_removed(db: None, secret_file: Path) -> None:
    run(secret_file)
    secret_file.write_text("another-secret")

    run(secret_file)

    assert {one.reveal() for one in InstallationSecret.objects.filter(retired_at=None)} == {
        SECRET.encode(),
        b"another-secret",
    }


def test_names_and_urls_can_be_changed(db: None, secret_file: Path) -> None:
    run(secret_file, name="First", channel_url="http://127.0.0.1:1/a", domain_api="http://127.0.0.1:1")
    run(secret_file, name="Second", channel_url="http://127.0.0.1:1/b", domain_api="http://127.0.0.1:2")

    assert AppInstallation.objects.get().name == "Second"
    assert Channel.objects.get().config == {"url": "http://127.0.0.1:1/b"}
    assert Account.objects.get().domain_api == "http://127.0.0.1:2"
    changed = AuditEntry.objects.filter(action__endswith=".changed").values_list("action", flat=True)
    assert set(changed) == {"installation.changed", "channel.changed", "account.changed"}


def test_what_is_left_out_stays(db: None, secret_file: Path) -> None:
    run(secret_file, name="First", channel_url="http://127.0.0.1:1/a")
    run(secret_file)

    assert AppInstallation.objects.get().name == "First"
    assert Channel.objects.get().config == {"url": "http://127.0.0.1:1/a"}


def test_the_client_id_is_the_same_in_capitals(db: None, secret_file: Path) -> None:
    run(secret_file)
    run(secret_file, client_id=CLIENT_ID.upper())

    assert AppInstallation.objects.count() == 1


def test_a_second_channel_of_a_type_has_a_prefix_of_its_own(db: None, secret_file: Path) -> None:
    run(secret_file)
    run(secret_file, channel_name="Shop App!")
    run(secret_file, channel_name="shop-app-")

    prefixes = list(Channel.objects.order_by("id").values_list("prefix", flat=True))
    assert prefixes[:2] == ["custom", "shop-app"]
    assert len(set(prefixes)) == 3


def test_a_channel_moves_to_the_installation_that_is_named_with_it(db: None, secret_file: Path) -> None:
    run(secret_file)
    other = run(secret_file, client_id=str(uuid.uuid4()))

    assert str(Channel.objects.get().installation_id) == other["installation"]
    assert AuditEntry.objects.filter(action="channel.changed").count() == 1


@pytest.mark.parametrize("is_known", [False, True], ids=["new brand", "known brand"])
def test_several_at_the_same_time_make_one_connector(transactional_db: None, secret_file: Path, is_known: bool) -> None:
    if is_known:
        Brand.objects.create(slug="acme", name="Acme")
    troubles: list[Exception] = []

    def again() -> None:
        try:
            run(secret_file)
        except Exception as error:
            troubles.append(error)

    for thread in [in_thread(again) for _ in range(4)]:
        thread.join()

    assert troubles == []
    assert (Brand.objects.count(), Account.objects.count(), AppInstallation.objects.count()) == (1, 1, 1)
    assert Channel.objects.count() == 1
    assert InstallationSecret.objects.filter(retired_at=None).count() == 1


# --- refused ---------------------------------------------------------------------------------------------------------


def test_an_account_of_another_brand_is_refused_and_nothing_is_left(db: None, secret_file: Path) -> None:
    run(secret_file)

    sentence = refusal(secret_file, brand="other")

    assert sentence == "The account 12345678 belongs to another brand."
    assert list(Brand.objects.values_list("slug", flat=True)) == ["acme"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "brand in capitals": ({"brand": "ACME"}, "The brand is named by"),
    "brand with a slash": ({"brand": "a/b"}, "The brand is named by"),
    "brand too long": ({"brand": "a" * 51}, "The brand is named by"),
    "account of letters": ({"account": "abc"}, "A LivePerson account id is a number"),
    "account too long": ({"account": "1" * 21}, "account id"),
    "client id too short": ({"client_id": "abc"}, "The client id is the UUID"),
    "client id with a blank": ({"client_id": CLIENT_ID + " x"}, "The client id is the UUID"),
    "Domain API with a path": ({"domain_api": "https://api.liveperson.net/x"}, "The Domain API is a scheme and a host"),
    "Domain API without a scheme": ({"domain_api": "api.liveperson.net"}, "The Domain API is a scheme and a host"),
    "Domain API with a user": (
        {"domain_api": "https://u:p@api.liveperson.net"},
        "The Domain API is a scheme and a host",
    ),
    "channel URL of a file": ({"channel_url": "file:///etc/passwd"}, "cannot be used"),
    "channel URL without a host": ({"channel_url": "https://"}, "cannot be used"),
    "name too long": ({"name": "n" * 129}, "at most 128"),
    "channel name too long": ({"channel_name": "n" * 65}, "at most 64"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_value_is_refused_with_a_sentence_and_nothing_is_left(db: None, secret_file: Path, case: str) -> None:
    options, expected = BAD[case]

    sentence = refusal(secret_file, **options)

    assert expected in sentence
    assert sentence.endswith(".")
    assert not Brand.objects.exists()
    assert not AuditEntry.objects.exists()


def test_an_empty_secret_is_refused(db: None, secret_file: Path) -> None:
    secret_file.write_text("\n")

    assert refusal(secret_file) == "A new app installation needs its client secret."


def test_a_secret_file_that_cannot_be_read_is_named(db: None, tmp_path: Path) -> None:
    missing = tmp_path / "missing"

    assert refusal(missing) == f"The secret could not be read from {missing}: FileNotFoundError."


def test_a_secret_file_that_is_no_text_is_named(db: None, secret_file: Path) -> None:
    secret_file.write_bytes(b"\xff\xfe\x00")

    assert refusal(secret_file).endswith("UnicodeDecodeError.")


def test_a_channel_secret_of_the_wrong_form_is_refused(db: None, secret_file: Path, tmp_path: Path) -> None:
    (tmp_path / "channel").write_text("canary-not-a-whsec")

    sentence = refusal(secret_file, channel_secret_file=str(tmp_path / "channel"))

    assert sentence == "The channel secret cannot be used: The secret must begin with whsec_."


def test_an_unknown_type_of_channel_is_refused(db: None, secret_file: Path) -> None:
    with pytest.raises(CommandError, match="invalid choice: 'carrier-pigeon'"):
        call_command(
            "onboard", "--brand=acme", "--account=12345678", f"--client-id={CLIENT_ID}",
            f"--secret-file={secret_file}", "--channel=carrier-pigeon", "--no-test",
        )  # fmt: skip


# --- the trail and the test of the connection ------------------------------------------------------------------------


def test_everything_that_it_makes_is_in_the_trail_without_a_secret(db: None, secret_file: Path) -> None:
    run(secret_file)

    entries = list(AuditEntry.objects.order_by("id"))
    assert [one.action for one in entries] == [
        "brand.created", "account.created", "installation.created", "installation.secret.added", "channel.created",
        "channel.secret.added",
    ]  # fmt: skip
    assert {one.actor_kind for one in entries} == {"COMMAND"}
    assert {one.brand_id for one in entries} == {Brand.objects.get().pk}
    assert not any(SECRET in json.dumps(one.data) + one.reason + one.subject_name for one in entries)


def test_no_secret_stands_in_the_database(db: None, secret_file: Path) -> None:
    told = run(secret_file)

    assert SECRET.encode() not in bytes(InstallationSecret.objects.get().sealed)
    assert told["channel_secret"].encode() not in bytes(ChannelSecret.objects.get().sealed)


def onboard_at(stand: Stand, secret: str, tmp_path: Path) -> tuple[dict[str, Any], str]:
    path = tmp_path / "secret"
    path.write_text(secret)
    out, err = io.StringIO(), io.StringIO()
    call_command(
        "onboard", brand="acme", account=stand.account, client_id=stand.onboarded.installation.client_id,
        secret_file=str(path), domain_api=stand.simulator.url, channel="custom", stdout=out, stderr=err,
    )  # fmt: skip
    return json.loads(out.getvalue()), err.getvalue()


def test_the_connection_is_tested(stand: Stand, tmp_path: Path) -> None:
    told, said = onboard_at(stand, stand.client_secret, tmp_path)

    assert told["installation"] == str(stand.onboarded.installation.pk)
    assert said == "Connection test passed: LivePerson issued a token.\n"
    installation = stand.installation
    assert (installation.test_passed, installation.test_detail) == (True, "LivePerson issued a token.")


def test_a_connection_that_fails_is_said_on_stderr_after_the_object(
    stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret"
    path.write_text("wrong-secret-canary")
    out, err = io.StringIO(), io.StringIO()
    client_id = stand.simulator.install(stand.account)["client_id"]

    with pytest.raises(SystemExit) as caught:
        call_command(
            "onboard", brand="acme", account=stand.account, client_id=client_id, secret_file=str(path),
            domain_api=stand.simulator.url, channel="custom", stdout=out, stderr=err,
        )  # fmt: skip

    assert caught.value.code == 1
    assert json.loads(out.getvalue())["installation"]
    assert err.getvalue().startswith("Connection test FAILED: ")
    assert "wrong-secret-canary" not in err.getvalue() + out.getvalue() + capsys.readouterr().err


def test_a_newer_secret_that_liveperson_does_not_know_yet_is_told(stand: Stand, tmp_path: Path) -> None:
    _, said = onboard_at(stand, "secret-of-tomorrow", tmp_path)

    assert said == (
        "Connection test passed: LivePerson issued a token. The newest secret is not accepted yet, an older one is.\n"
    )
