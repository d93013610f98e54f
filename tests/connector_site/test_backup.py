"""An old backup of a busy site, restored: nothing lost, nothing doubled in silence, nothing sent unasked."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from audit.models import AuditEntry
from connector_site.environment import BASE_DIR
from tests.connector_site.restorable import Second, Told, manage, second_database
from tests.conversations.conftest import other_ends, simulator_process, stand, transactional_db
from tests.conversations.servers import Play
from tests.waiting import wait_until
from tests.webhooks.work import apply_all

__all__ = ["other_ends", "simulator_process", "stand", "transactional_db"]  # fixtures

PNG = b"\x89PNG\r\n\x1a\n" + secrets.token_bytes(2000)


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Second]:
    with second_database(tmp_path / "second") as made:
        yield made


def take(folder: Path) -> dict[str, Any]:
    told = manage("backup", folder)
    assert told.status == 0, told.err
    return told.json


def restore(second: Second, folder: Path) -> dict[str, Any]:
    told = second.manage("restore", folder)
    assert told.status == 0, told.err
    return told.json


def talk(stand: Any, *consumers: str) -> None:
    """Each has an open conversation in which something was said."""
    for consumer in consumers:
        stand.says(f"{consumer} begins", consumer=consumer)
    stand.settle()


def at_liveperson(stand: Any) -> Counter[str]:
    """How often each text of a consumer stands there."""
    return Counter(
        event["text"]
        for conversation in stand.at_liveperson()
        for event in conversation["events"]
        if event["role"] == "CONSUMER" and event["type"] == "ContentEvent"
    )


def test_a_busy_site_comes_back_from_an_old_backup(stand: Any, second: Second, tmp_path: Path) -> None:
    """
    Anna's and Ben's messages were sent after the backup: the notification of Anna's was answered by the site that was
    lost, Ben's is still to come. Carl's answer was on its way to the channel. Dora's message had not been applied.
    """
    talk(stand, "anna", "ben", "carl", "dora")
    stand.phone.files["/photo.png"] = Play(body=PNG, headers={"Content-Type": "image/png"})
    photo = {"url": f"{stand.phone.url}/photo.png", "mime": "image/png", "name": "photo.png"}
    stand.says("", consumer="anna", id="photo", attachments=[photo])
    stand.settle()
    for text in ("anna 1", "anna 2"):
        stand.says(text, consumer="anna")
    for text in ("ben 1", "ben 2"):
        stand.says(text, consumer="ben")
    stand.agent("say", conversation=stand.conversation_of("carl")["id"], text="To Carl")
    stand.deliver()
    apply_all()
    stand.says("dora 1", consumer="dora")

    folder = tmp_path / "backup"
    made = take(folder)
    assert (made["files_missing"], made["counts"]["conversations_mediafile"]) == ([], 1)

    # Ten minutes more of the old site, which goes with everything that it learns in them.
    stand.work()
    stand.deliver(lambda got: b"ben" not in got.body)
    bens = [got for got in stand.liveperson_calls.got if b'"ben ' in got.body and b"begins" not in got.body]
    stand.settle()
    stand.says("anna after the backup", consumer="anna")
    stand.settle()
    assert at_liveperson(stand)["anna 1"] == at_liveperson(stand)["dora 1"] == 1
    before = at_liveperson(stand)
    to_carl = [one["id"] for one in stand.received() if one["text"] == "To Carl"]

    report = restore(second, folder)
    assert report["counts"] == made["counts"]
    assert report["applied"] == 1
    # Anna's, Ben's, Dora's words; Carl's answer, which his channel knows by its id.
    assert report["held"] == {"lanes": 4, "dispatches": 6, "in_doubt": 5}

    with second.in_use():
        _nothing_leaves_but_what_is_new(stand, second, before)
        _bens_messages_are_recognised(stand, bens)
        _the_rest_is_released_by_a_person(stand, before, second)
    assert [one["id"] for one in stand.received() if one["text"] == "To Carl"] == to_carl * 2
    files = list((second.data_dir / "files").rglob("*"))
    assert [one.read_bytes() for one in files if one.is_file()] == [PNG]


def _nothing_leaves_but_what_is_new(stand: Any, second: Second, before: Counter[str]) -> None:
    with worker_of(second):
        stand.says("emil is new", consumer="emil")
        stand.says("anna 3", consumer="anna")
        wait_until(lambda: at_liveperson(stand)["emil is new"] == 1, within_s=40)
        time.sleep(2)
    assert at_liveperson(stand) == before + Counter(["emil is new"])


def _bens_messages_are_recognised(stand: Any, bens: list[Any]) -> None:
    from conversations.models import Dispatch, Lane

    assert bens
    for got in bens:
        assert stand.hand_over(got).status_code == 200
    stand.settle()
    settled = Dispatch.objects.filter(resolution="echo", error_code="", lane__consumer__channel_consumer_id="ben")
    assert [one.state for one in settled] == ["SENT", "SENT"]
    assert not Lane.objects.filter(consumer__channel_consumer_id="ben", held_at__isnull=False).exists()


def _the_rest_is_released_by_a_person(stand: Any, before: Counter[str], second: Second) -> None:
    from connector_site.invariants import all_invariants, check
    from conversations.models import Dispatch

    listed = second.manage("held", "list", "--brand", "acme").json
    assert Counter(one["direction"] for one in listed["held"]) == {"TO_LIVEPERSON": 2, "TO_CHANNEL": 1}
    in_doubt = [two["id"] for one in listed["held"] for two in one["dispatches"] if two["in_doubt"]]
    texts = {
        str(one.pk): one.message.content.text
        for one in Dispatch.objects.filter(pk__in=in_doubt).select_related("message__content")
        if one.message
    }
    assert sorted(texts.values()) == ["anna 1", "anna 2", "dora 1"]
    seen = next(one for one, text in texts.items() if text == "anna 1")

    told = second.manage("held", "release", "--drop", seen, "--brand", "acme", "--reason", "Looked at LivePerson")
    assert told.status == 0, told.err
    stand.settle()
    stand.pass_time(60)
    stand.settle()

    now = at_liveperson(stand)
    lost = before - now
    doubled = {text for text in now if now[text] > before.get(text, 0) and text in before}
    marked = {
        one.message.content.text
        for one in Dispatch.objects.filter(possible_duplicate=True).select_related("message__content")
        if one.message
    }
    released = second.manage("held", "list").json["released"]
    named = {texts[one] for entry in released for one in entry["possible_duplicates"]}
    assert not lost
    assert doubled == marked == named == {"anna 2", "dora 1"}
    assert now["anna 3"] == 1
    assert {entry["reason"] for entry in released if entry["by"] == "command line"} == {"Looked at LivePerson"}
    assert check(all_invariants()) == []
    assert second.manage("check_invariants").status == 0


class worker_of:
    """A real worker on the restored database, as an operator starts it."""

    def __init__(self, second: Second) -> None:
        self._values = os.environ | {"DATABASE_URL": second.url, "DATA_DIR": str(second.data_dir)}

    def __enter__(self) -> None:
        command = [sys.executable, str(BASE_DIR / "manage.py"), "worker"]
        self._process = subprocess.Popen(command, env=self._values, stderr=subprocess.DEVNULL, cwd=BASE_DIR)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


# --- the folder ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(stand: Any, tmp_path: Path) -> Path:
    """A backup of a site with a word, a file and something to send."""
    from connector_site import backup

    talk(stand, "anna")
    stand.phone.files["/photo.png"] = Play(body=PNG, headers={"Content-Type": "image/png"})
    photo = {"url": f"{stand.phone.url}/photo.png", "mime": "image/png", "name": "photo.png"}
    stand.says("", consumer="anna", id="photo", attachments=[photo])
    stand.settle()
    stand.says("anna 1", consumer="anna")
    apply_all()
    backup.take(tmp_path / "small", tell=print)
    return tmp_path / "small"


def test_no_key_and_no_token_is_in_the_backup_and_nobody_else_may_read_it(stand: Any, small: Path) -> None:
    from conversations.models import ConsumerToken
    from installations.models import AppToken

    secret = [
        os.environ["SECRET_KEY"],
        *os.environ["ENCRYPTION_KEYS"].split(","),
        os.environ["ADMIN_PASSWORD"],
        stand.client_secret,
        stand.channel_secret,
        AppToken.objects.get().reveal(),
        ConsumerToken.objects.get().reveal(),
    ]
    files = [path for path in small.rglob("*") if path.is_file()]
    plain = subprocess.run([_pg_restore(), "-f", "-", small / "database.dump"], capture_output=True, check=True).stdout
    assert b"anna 1" in plain  # so that a dump that could not be read does not pass
    for text in [path.read_bytes() for path in files] + [plain]:
        for one in secret:
            assert one.encode() not in text
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [small, *small.rglob("*/")] if path.is_dir()} == {0o700}


def _pg_restore() -> Path:
    from connector_site import postgres_tools

    return postgres_tools.find("pg_restore", server_major=postgres_tools.place().major).path


def test_the_password_stands_on_no_command_line_and_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from connector_site import postgres_tools
    from connector_site.postgres_tools import Place, Tool
    from core.errors import ConfigurationError

    shown = Place(conninfo="host=127.0.0.1 dbname=site", password="canary-password", version=180000)
    assert "canary" not in repr(shown)
    told = Tool(path=Path("/bin/false"), major=18)
    calls = []
    really = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append((a, k)) or really(*a, **k))
    with pytest.raises(ConfigurationError, match="false ended with 1"):
        postgres_tools.run(told, [], at=shown)
    ((arguments, options),) = calls
    assert "canary" not in str(arguments)
    assert options["env"]["PGPASSWORD"] == "canary-password"


@pytest.mark.django_db
def test_a_tool_that_is_older_than_the_server_is_refused_with_a_sentence() -> None:
    from connector_site import postgres_tools
    from core.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="Install the client programs of PostgreSQL 99"):
        postgres_tools.find("pg_dump", server_major=99)
    with pytest.raises(ConfigurationError, match="There is no pg_nothing on PATH"):
        postgres_tools.find("pg_nothing", server_major=18)


def test_a_file_that_is_lost_is_named_and_the_rest_is_backed_up(stand: Any, small: Path, tmp_path: Path) -> None:
    from django.core.files.storage import default_storage

    from conversations.media import storage_path
    from conversations.models import MediaFile

    file = MediaFile.objects.get()
    default_storage.delete(storage_path(file.pk))
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("backup", tmp_path / "without", stdout=out, stderr=err)
    assert json.loads(out.getvalue())["files_missing"] == [str(file.pk)]
    assert "older backup" in err.getvalue()
    assert json.loads((tmp_path / "without/manifest.json").read_text())["files_missing"] == [str(file.pk)]


def test_a_folder_that_exists_is_left_alone_and_a_failure_leaves_none(small: Path, tmp_path: Path) -> None:
    before = sorted(small.rglob("*"))
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", small)
    assert sorted(small.rglob("*")) == before
    with pytest.raises(CommandError, match="No folder can be made"):
        call_command("backup", tmp_path / "no" / "such" / "place")
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


# --- what a restore refuses ------------------------------------------------------------------------------------------


def tables(second: Second) -> Any:
    return second.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


def refused(told: Told, sentence: str) -> None:
    assert told.status == 1
    assert sentence in told.err
    assert "Traceback" not in told.err


def restore_here(second: Second, folder: Path) -> None:
    """In this process: a command of its own takes seconds to start."""
    with second.in_use(), override_settings(DATA_DIR=second.data_dir):
        call_command("restore", folder, stdout=io.StringIO(), stderr=io.StringIO())


def refuses(second: Second, folder: Path, sentence: str) -> None:
    with pytest.raises(CommandError, match=re.escape(sentence)):
        restore_here(second, folder)


def test_a_backup_whose_key_is_not_there_is_refused_before_anything_is_touched(small: Path, second: Second) -> None:
    other = b64encode(secrets.token_bytes(32)).decode()
    told = second.manage("restore", small, ENCRYPTION_KEYS=other)
    refused(told, "not in ENCRYPTION_KEYS")
    assert json.loads((small / "manifest.json").read_text())["keys"][0] in told.err
    assert tables(second) == []


def test_a_damaged_backup_is_refused_before_anything_is_touched(small: Path, second: Second, tmp_path: Path) -> None:
    (photo,) = [path for path in (small / "files").rglob("*") if path.is_file()]
    for number, name in enumerate(("database.dump", str(photo.relative_to(small)), "files.sha256")):
        copy = tmp_path / f"damaged-{number}"
        shutil.copytree(small, copy)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        refuses(second, copy, "is damaged")
    (copy / "manifest.json").unlink()
    refuses(second, copy, "is no backup, or not a whole one")
    refuses(second, tmp_path / "nowhere", "There is no folder ")
    assert tables(second) == []


def test_a_backup_of_a_newer_version_is_refused(small: Path, second: Second) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    manifest["migrations"].append("conversations.9999_of_next_year")
    (small / "manifest.json").write_text(json.dumps(manifest))
    refuses(second, small, "made by a newer version of the site")
    assert tables(second) == []


def test_a_database_that_holds_a_site_is_refused_and_keeps_it(stand: Any, small: Path) -> None:
    from conversations.models import Message

    count = Message.objects.count()
    with pytest.raises(CommandError, match="holds a site already"):
        call_command("restore", small, stdout=io.StringIO(), stderr=io.StringIO())
    assert Message.objects.count() == count


def test_tables_of_somebody_else_are_not_touched(small: Path, second: Second) -> None:
    with psycopg.connect(second.url, autocommit=True) as session:
        session.execute("CREATE TABLE invoices (id int)")
    refuses(second, small, "not the site's (invoices)")
    assert tables(second) == [("invoices",)]


def test_whoever_works_on_the_database_has_to_stop_first(small: Path, second: Second) -> None:
    with psycopg.connect(second.url):
        refuses(second, small, "other connections to this database are open")
    assert tables(second) == []
    with psycopg.connect(second.url, autocommit=True) as session:
        session.execute("CREATE TABLE connector_site_heartbeat (cluster text, beat_at timestamptz)")
        session.execute("INSERT INTO connector_site_heartbeat VALUES ('far away', now())")
    refuses(second, small, "A worker is at work on this database")


def test_a_restore_that_was_broken_off_is_served_by_nobody_and_can_be_done_again(small: Path, second: Second) -> None:
    """Killed between the rows and the hold: the worst moment, for everything that waits would be sent."""
    restore_here(second, small)
    with psycopg.connect(second.url, autocommit=True) as session:
        session.execute("CREATE TABLE connector_site_restoring (since timestamptz DEFAULT now())")
        session.execute("UPDATE conversations_lane SET held_at = NULL, due_at = now()")
    for command in ("worker", "web"):
        refused(second.manage(command), "was broken off")
    restore_here(second, small)
    assert second.ask("SELECT count(*) FROM conversations_lane WHERE held_at IS NOT NULL") == [(1,)]
    assert second.ask("SELECT to_regclass('connector_site_restoring')::text") == [(None,)]


def test_a_worker_that_was_forgotten_does_nothing_until_the_lanes_are_held(
    stand: Any, small: Path, second: Second
) -> None:
    """It had lost its database, so nobody saw it; now it finds the restored one behind the same address."""
    from webhooks import services

    restore_here(second, small)
    with psycopg.connect(second.url, autocommit=True) as session:
        session.execute("CREATE TABLE connector_site_restoring (since timestamptz DEFAULT now())")
        session.execute("UPDATE conversations_lane SET held_at = NULL, due_at = now()")
        session.execute("UPDATE conversations_dispatch SET state = 'QUEUED' WHERE state = 'UNKNOWN'")
        session.execute("UPDATE webhooks_delivery SET state = 'STORED' WHERE channel_id IS NULL")
    asked = "SELECT (SELECT count(*) FROM conversations_attempt), (SELECT count(*) FROM webhooks_event)"
    before, heard = second.ask(asked), at_liveperson(stand)

    with second.in_use():
        services.work(deadline_s=2)

    assert second.ask(asked) == before
    assert at_liveperson(stand) == heard
    with psycopg.connect(second.url, autocommit=True) as session:
        session.execute("DROP TABLE connector_site_restoring")
    with second.in_use():
        services.work(deadline_s=5)
    assert at_liveperson(stand)["anna 1"] == 1


def test_a_file_that_a_broken_off_restore_left_half_written_is_written_again(
    small: Path, second: Second, tmp_path: Path, settings: Any
) -> None:
    files = {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path / "restored"}}
    settings.STORAGES = {**settings.STORAGES, "default": files}
    (photo,) = [path.relative_to(small / "files") for path in (small / "files").rglob("*") if path.is_file()]
    whole = (small / "files" / photo).read_bytes()
    half = tmp_path / "restored" / photo
    half.parent.mkdir(parents=True)
    half.write_bytes(whole[: len(whole) // 2])

    restore_here(second, small)

    assert half.read_bytes() == whole
    assert len(list(half.parent.iterdir())) == 1


def test_an_older_backup_is_brought_to_this_version(small: Path, second: Second, tmp_path: Path) -> None:
    restore_here(second, small)
    with second.in_use():
        call_command("migrate", "conversations", "0008_erasure_words_to", verbosity=0, interactive=False)
        call_command("backup", tmp_path / "older", stdout=io.StringIO(), stderr=io.StringIO())
        assert AuditEntry.objects.get(action="backup.taken").actor_kind == "COMMAND"
    with second_database(tmp_path / "third") as third:
        restore_here(third, tmp_path / "older")
        with third.in_use():
            call_command("migrate", check_unapplied=True, verbosity=0)
        assert third.ask("SELECT count(*) FROM conversations_lane WHERE held_at IS NOT NULL") == [(1,)]


def test_an_empty_site_may_be_replaced(small: Path, second: Second) -> None:
    with second.in_use():
        call_command("migrate", verbosity=0, interactive=False)
    restore_here(second, small)
    entries = second.ask("SELECT actor_kind, data FROM audit_auditentry WHERE action = 'lanes.held'")
    assert entries == [("COMMAND", {"lanes": 1, "dispatches": 1, "in_doubt": 1})]
    restored = second.ask(
        "SELECT subject_type, data ->> 'lanes' FROM audit_auditentry WHERE action = 'backup.restored'"
    )
    assert restored == [("site", "1")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        second.ask("DELETE FROM audit_auditentry RETURNING id")
    assert second.ask("SELECT count(*) FROM installations_apptoken WHERE sealed IS NOT NULL") == [(0,)]
    assert second.ask("SELECT count(*) FROM django_q_ormq") == [(0,)]
