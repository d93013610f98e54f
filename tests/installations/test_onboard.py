"""`manage.py onboard`: from credentials to a connector that works, safe to repeat."""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any, NamedTuple

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


def said_beside(secret_file: Path, **options: Any) -> str:
    """What it tells people, beside the object for programs."""
    err = io.StringIO()
    given = {"brand": "acme", "account": "12345678", "client_id": CLIENT_ID, "channel": "custom", "no_test": True}
    call_command("onboard", secret_file=str(secret_file), stdout=io.StringIO(), stderr=err, **{**given, **options})
    return err.getvalue()


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


def test_a_channel_without_an_address_is_named_until_it_has_one(db: None, secret_file: Path) -> None:
    warning = (
        "The channel has no address for outgoing messages yet: what agents write fails until you give --channel-url."
    )
    assert warning in said_beside(secret_file)
    assert warning not in said_beside(secret_file, channel_url="http://127.0.0.1:1/a")
    assert warning not in said_beside(secret_file)


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
    "Domain API with a path": ({"domain_api": "https://api.liveperson.net/x"}, "Domain API: Scheme and host only"),
    "Domain API without a scheme": ({"domain_api": "api.liveperson.net"}, "Domain API: This address cannot be used"),
    "Domain API with a user": (
        {"domain_api": "https://u:p@api.liveperson.net"},
        "Domain API: This address cannot be used",
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


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist. Name a file that holds the client secret."),
        (b"", "is empty. Put the client secret into it, and nothing else."),
        (b" \n\n", "is empty. Put the client secret into it, and nothing else."),
        (b"\xff\xfe\x00", "is not text in UTF-8. Put the client secret into it, and nothing else."),
        (b"one\ntwo\n", "holds more than one line. Put the client secret into it, and nothing else."),
    ],
)
def test_a_secret_file_that_holds_no_secret_is_named(
    db: None, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    said = refusal(path)

    assert said.startswith(f"The file {path} ")
    assert said.endswith(sentence)
    assert not Brand.objects.exists()


def test_a_folder_in_place_of_the_channels_secret_file_is_named(db: None, secret_file: Path, tmp_path: Path) -> None:
    said = refusal(secret_file, channel_secret_file=str(tmp_path))

    assert said == f"The file {tmp_path} cannot be read: it is a folder. Name a file that holds the channel's secret."


def test_a_person_at_a_terminal_is_asked_and_what_they_type_is_not_shown(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return SECRET

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("installations.management.commands.onboard.getpass", answer)

    run(Path("-"))

    assert asked == ["The client secret: "]
    assert AppInstallation.objects.get().secrets.get().reveal() == SECRET.encode()


def test_an_empty_standard_input_is_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))

    assert refusal(Path("-")) == "Standard input is empty. Put the client secret into it, and nothing else."


def test_one_standard_input_cannot_hold_both_secrets(db: None) -> None:
    assert (
        refusal(Path("-"), channel_secret_file="-")
        == "Standard input holds one secret only. Name a file for the other."
    )


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


# --- the trail -------------------------------------------------------------------------------------------------------


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


# --- the test of the connection ---------------------------------------------------------------------------------------


class Tried(NamedTuple):
    """printed: the object, None when there was none."""

    printed: dict[str, Any] | None
    said: str
    exit_code: int


def onboard_at(stand: Stand, tmp_path: Path, *, secret: str, **options: Any) -> Tried:
    """Onboard an app installation that LivePerson has, with that secret, and test it."""
    path = tmp_path / "secret"
    path.write_text(secret)
    out, err, exit_code = io.StringIO(), io.StringIO(), 0
    given = {
        "brand": "acme", "account": stand.account, "client_id": stand.onboarded.installation.client_id,
        "domain_api": stand.simulator.url, "channel": "custom",
    }  # fmt: skip
    try:
        call_command("onboard", secret_file=str(path), stdout=out, stderr=err, **{**given, **options})
    except SystemExit as end:
        exit_code = int(end.code or 0)
    assert secret not in out.getvalue() + err.getvalue()
    return Tried(json.loads(out.getvalue() or "null"), err.getvalue(), exit_code)


def rows() -> list[int]:
    kinds = (Brand, Account, AppInstallation, InstallationSecret, Channel, ChannelSecret, AuditEntry)
    return [model.objects.count() for model in kinds]


def logins(stand: Stand) -> int:
    """How often LivePerson was asked for an AppJWT."""
    asked = stand.simulator.control("GET", "requests")["requests"]
    return sum("/app/token" in one["path"] for one in asked)


def test_the_connection_is_tested(stand: Stand, tmp_path: Path) -> None:
    tried = onboard_at(stand, tmp_path, secret=stand.client_secret)

    assert tried.printed is not None
    assert tried.printed["installation"] == str(stand.onboarded.installation.pk)
    assert (tried.said, tried.exit_code) == ("Connection test passed: LivePerson issued a token.\n", 0)
    installation = stand.installation
    assert (installation.test_passed, installation.test_detail) == (True, "LivePerson issued a token.")
    assert logins(stand) == 1
    assert AuditEntry.objects.filter(action="installation.tested").count() == 1


def test_where_the_test_fails_nothing_is_kept_and_the_same_again_shows_everything(stand: Stand, tmp_path: Path) -> None:
    made = stand.simulator.install(stand.account)
    connector = {"client_id": made["client_id"], "channel_name": "New"}
    before = rows()

    failed = onboard_at(stand, tmp_path, secret="wrong-secret-canary", **connector)

    assert (failed.printed, failed.exit_code) == (None, 1)
    assert failed.said.startswith("Connection test FAILED: LivePerson gave no AppJWT for this client id and secret")
    assert "Check the account, the client id and the client secret.\n" in failed.said
    assert "Nothing was kept." in failed.said
    assert rows() == before

    again = onboard_at(stand, tmp_path, secret=made["client_secret"], **connector)

    assert again.exit_code == 0
    assert again.printed is not None
    assert again.printed["channel_secret"].startswith("whsec_")


def test_the_new_secret_itself_is_tested_though_an_older_one_is_accepted(stand: Stand, tmp_path: Path) -> None:
    failed = onboard_at(stand, tmp_path, secret="secret-with-a-slip")

    assert failed.exit_code == 1
    assert "Connection test FAILED" in failed.said
    assert InstallationSecret.objects.filter(installation=stand.installation).count() == 1
    assert stand.installation.test_passed is None


def test_without_a_test_a_secret_of_tomorrow_is_kept(stand: Stand, tmp_path: Path) -> None:
    tried = onboard_at(stand, tmp_path, secret="secret-of-tomorrow", no_test=True)

    assert (tried.said, tried.exit_code) == ("", 0)
    assert InstallationSecret.objects.filter(installation=stand.installation).count() == 2


def test_a_network_that_leads_nowhere_is_told_without_talk_of_sending(stand: Stand, tmp_path: Path) -> None:
    tried = onboard_at(stand, tmp_path, secret="a-secret", domain_api="http://127.0.0.1:9")

    assert tried.exit_code == 1
    assert "Check the network, and the address of the Domain API if one is set" in tried.said
    assert "sending" not in tried.said


def test_a_host_that_is_not_allowed_is_told_with_the_setting_that_allows_it(stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="api.example.com was not called.*LIVEPERSON_DOMAINS"):
        onboard_at(stand, tmp_path, secret="a-secret", domain_api="https://api.example.com")
    assert logins(stand) == 0


def test_an_account_of_another_brand_is_refused_before_liveperson_is_asked(stand: Stand, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="belongs to another brand"):
        onboard_at(stand, tmp_path, secret="a-secret", brand="other")
    assert logins(stand) == 0
