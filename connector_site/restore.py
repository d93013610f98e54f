"""
Putting a backup back, so that nothing is sent twice without being said.

Everything is checked before anything is touched. From the first row on until every outbound lane is held, the mark in
connector_site.restoring keeps web and workers away. What had arrived and was not applied yet is applied in between,
because the site that was lost may have applied and sent it too: what it makes is in doubt like the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audit import api as audit
from connector_site import environment, postgres_tools, restore_checks, restoring
from connector_site.backup_folder import DUMP, Manifest, listed_files
from connector_site.bulk import services as bulk
from connector_site.postgres_tools import Place, Tool
from conversations.services import held_lanes
from core.actor import COMMAND
from core.errors import ConfigurationError
from core.ids import new_id
from core.vault import search_key_id
from installations import tokens
from installations.models import AppInstallation
from webhooks import applying, inboxes, waiting

Tell = Callable[[str], None]


@dataclass(kw_only=True)
class Report:
    """held: lanes, dispatches, and how many of those are in doubt. applied: what had arrived and was applied now."""

    backup_of: str
    counts: dict[str, int]
    files: int = 0
    files_missing: list[str] = field(default_factory=list)
    applied: int = 0
    held: dict[str, int] = field(default_factory=dict)
    finds_consumers: bool = True

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def restore(folder: Path, *, tell: Tell) -> Report:
    """Restore a backup into an empty database and DATA_DIR. Raises ConfigurationError, mostly before any change."""
    restore_checks.named_manifest(folder)  # before somebody stops a site for a slip in the folder's name
    environment.make_data_dir(settings.DATA_DIR)
    claim = environment.claim_running(settings.DATA_DIR)
    if claim is None:
        raise ConfigurationError(f"A site runs with DATA_DIR={settings.DATA_DIR}. Stop it first.")
    try:
        return _restore(folder.absolute(), tell=tell)
    finally:
        claim.release()


def _restore(folder: Path, *, tell: Tell) -> Report:
    tell("Reading the backup and comparing it with its sums.")
    manifest = restore_checks.whole(folder)
    restore_checks.has_keys(manifest)
    at = postgres_tools.place()
    restore_checks.is_not_newer(manifest, at)
    tool = postgres_tools.find("pg_restore", server_major=at.major)
    restore_checks.is_alone()
    old_tables = restore_checks.is_empty()

    report = Report(backup_of=manifest.started_at, counts=manifest.counts, files_missing=manifest.files_missing)
    report.finds_consumers = manifest.search_key == search_key_id()
    tell("Restoring the database.")
    _put_rows(folder, tool, at, old_tables)
    _compare_counts(manifest)
    report.files = _put_files(folder)
    tell("Bringing the schema to this version.")
    call_command("migrate", interactive=False, verbosity=0)
    _make_safe(manifest, report, tell=tell)
    return report


def _put_rows(folder: Path, tool: Tool, at: Place, old_tables: list[str]) -> None:
    with transaction.atomic():
        restoring.begin()
        if old_tables:
            names = ", ".join(connection.ops.quote_name(name) for name in old_tables)
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {names} CASCADE")
    connection.close()
    how = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--clean", "--if-exists"]
    postgres_tools.run(tool, [*how, str(folder / DUMP)], at=at)


def _compare_counts(manifest: Manifest) -> None:
    for table, counted in manifest.counts.items():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608 -- quoted
            (found,) = cursor.fetchone()
        if found != counted:
            raise ConfigurationError(
                f"Of {table} {found} rows were restored, and the backup counted {counted}: it is not what it says. "
                "Restore another backup."
            )


def _put_files(folder: Path) -> int:
    """Files are never changed: one that is there is the same, unless a restore was broken off in the middle of it."""
    count = 0
    for name, wanted in listed_files(folder):
        if default_storage.exists(name) and _sum_in_storage(name) != wanted:
            default_storage.delete(name)
        if not default_storage.exists(name):
            with (folder / "files" / name).open("rb") as source:
                default_storage.save(name, File(source))
        count += 1
    return count


def _sum_in_storage(name: str) -> str:
    with default_storage.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_safe(manifest: Manifest, report: Report, *, tell: Tell) -> None:
    """Hold the lanes and take the mark away, in this order; killed in between, the mark stays."""
    # What was made until here went out under its own id, if it did; what is applied below gets another one.
    made_before = new_id()
    with transaction.atomic():
        held_lanes.hold_all(made_before=made_before)
        inboxes.end_leases()
        bulk.stop_all(actor=COMMAND, because="A backup was restored: what it did after that is not known here.")
        for installation_id in AppInstallation.objects.values_list("pk", flat=True):
            tokens.forget(installation_id)
    before = inboxes.count_waiting()
    if before:
        tell(f"Applying what had arrived and was not applied yet: {before} deliveries.")
    while applying.apply_some():
        pass
    waiting.end_all(now=timezone.now())
    report.applied = before - inboxes.count_waiting()
    with transaction.atomic():
        held_lanes.hold_all(made_before=made_before)
        report.held = held_lanes.record_hold(actor=COMMAND, reason=f"Restored the backup of {manifest.started_at}.")
        data = {"backup_of": manifest.started_at, "applied": report.applied, **report.held}
        audit.record("backup.restored", actor=COMMAND, subject=None, data=data)
        restoring.end()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
