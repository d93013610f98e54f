"""`manage.py restore`: a backup into an empty database; afterwards every outbound lane is held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connector_site import restore
from core.errors import ConfigurationError


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty database and DATA_DIR, while neither web nor worker runs. Every outbound lane "
        "is held afterwards: see manage.py held. Prints one JSON object."
    )
    # The database is empty, or of another version: nothing that is checked of a site holds for it.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="What manage.py backup made.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = restore.restore(options["folder"], tell=self.stderr.write)
        except ConfigurationError as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(json.dumps(report.as_json(), indent=2))
        self.stderr.write(
            f"Held: lanes {report.held['lanes']}, dispatches {report.held['dispatches']}, "
            f"of these in doubt {report.held['in_doubt']}. Start web and worker: evidence settles some. Then see "
            "manage.py held list, and drop or release."
        )
        if not report.finds_consumers:
            self.stderr.write(
                "SECRET_KEY is not the one of the backup: search does not find its consumers by their numbers, and "
                "links to files that were sent do not open. Set the old one if you have it."
            )
        if report.files_missing:
            self.stderr.write(f"{len(report.files_missing)} files were missing when the backup was made.")
