"""`manage.py backup`: database and files into one folder, while the site runs; the keys stay apart."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connector_site import backup
from core.errors import ConfigurationError


class Command(BaseCommand):
    help = (
        "Back up the database and the files into a new folder, while the site runs. The keys (ENCRYPTION_KEYS, "
        "SECRET_KEY) are not in it: keep them in another place, for without them its secrets cannot be opened."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="A folder that does not exist yet, in one that does.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = backup.take(options["folder"], tell=self.stderr.write)
        except ConfigurationError as refusal:
            raise CommandError(str(refusal)) from None
        told = {
            "folder": str(options["folder"].absolute()),
            "started_at": made.started_at,
            "finished_at": made.finished_at,
            "counts": made.counts,
            "needs_keys": made.keys,
            "files_missing": made.files_missing,
            "files_changed": made.files_changed,
        }
        self.stdout.write(json.dumps(told, indent=2))
        if made.files_missing or made.files_changed:
            self.stderr.write(
                "Some files that rows name are not on the disk any more, or not as they were stored; the backup "
                "holds what there is. Look at the disk under DATA_DIR/files, and for them in an older backup."
            )
            sys.exit(1)
