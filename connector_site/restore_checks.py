"""What has to be true before a restore touches anything. Each check ends with a sentence that says what to do."""

from __future__ import annotations

import time
from pathlib import Path

from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from connector_site import heartbeat, restoring
from connector_site.backup_folder import BackupDamaged, Manifest, check_sums, read_manifest
from connector_site.postgres_tools import Place
from core.errors import ConfigurationError
from core.vault import key_ring

_MIGRATIONS = "django_migrations"
_LEAVES_WITHIN_S = 3.0
# Whoever has one of these has a site.
_CONTENT = ("access_brand", "conversations_consumer", "webhooks_delivery")


def named_manifest(folder: Path) -> Manifest:
    """The manifest of what is called a backup; whether its bytes are whole is not looked at."""
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}. Name the folder that manage.py backup made.")
    try:
        return read_manifest(folder)
    except BackupDamaged as damage:
        raise ConfigurationError(str(damage)) from None


def whole(folder: Path) -> Manifest:
    """The manifest of a backup whose every byte is as it was made."""
    manifest = named_manifest(folder)
    try:
        check_sums(folder, manifest)
    except BackupDamaged as damage:
        raise ConfigurationError(str(damage)) from None
    return manifest


def has_keys(manifest: Manifest) -> None:
    missing = sorted(set(manifest.keys) - key_ring().key_ids)
    if missing:
        named = " and ".join(missing)
        raise ConfigurationError(
            f"This backup needs the encryption key{'s' if len(missing) > 1 else ''} {named} (the head of its SHA-256), "
            "not in ENCRYPTION_KEYS. Add what was in ENCRYPTION_KEYS when the backup was made, behind the newest key."
        )


def is_not_newer(manifest: Manifest, at: Place) -> None:
    """A newer site's tables, or a newer server's dump, cannot be read by an older one."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    unknown = [name for name in manifest.migrations if name not in known]
    if unknown:
        raise ConfigurationError(
            f"This backup was made by a newer version of the site ({manifest.version}; it knows {unknown[0]}, and this "
            "one does not). Install that version, then restore."
        )
    if manifest.postgres // 10_000 > at.major:
        raise ConfigurationError(
            f"This backup comes from PostgreSQL {manifest.postgres // 10_000}, and this server is {at.major}. "
            "Restore into a server of that version or a newer one."
        )


def is_alone() -> None:
    """Nothing serves from the database: a worker would send what it finds there."""
    tables = _tables()
    age_s = heartbeat.youngest_age_s() if "connector_site_heartbeat" in tables else None
    if age_s is not None and age_s <= heartbeat.ALIVE_WITHIN_S:
        raise ConfigurationError("A worker is at work on this database. Stop web and worker, then restore.")
    # Those of a program that has just ended take a moment to go.
    until_s = time.monotonic() + _LEAVES_WITHIN_S
    is_over = False
    while (others := _other_connections()) and not is_over:
        time.sleep(0.1)
        is_over = time.monotonic() > until_s
    if others:
        raise ConfigurationError(
            f"{others} other connections to this database are open. Stop web, worker and whoever else uses it first."
        )


def _other_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename IS NOT NULL"
        )
        number: int = cursor.fetchone()[0]
        return number


def is_empty() -> list[str]:
    """The tables of an empty site, or of a restore that was broken off; none in a new database."""
    tables = _tables()
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {_MIGRATIONS}
    strange = [name for name in tables if name not in ours and not restoring.is_its_table(name)]
    if strange:
        raise ConfigurationError(f"This database holds tables that are not the site's ({strange[0]}). Make a new one.")
    if not restoring.is_unfinished():
        for name in _CONTENT:
            if name in tables and _has_rows(name):
                raise ConfigurationError(
                    "This database holds a site already. Make a new one, name it in DATABASE_URL (or name a new "
                    "DATA_DIR where the site brings its own PostgreSQL), and restore into that."
                )
    return [name for name in tables if not restoring.is_its_table(name)]


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def _has_rows(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})")  # noqa: S608 -- our own name
        return bool(cursor.fetchone()[0])
