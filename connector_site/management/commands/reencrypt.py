"""`manage.py reencrypt`: moves every stored secret to the newest key of ENCRYPTION_KEYS."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from connector_site.reencryption import reencrypt
from core.actor import COMMAND


class Command(BaseCommand):
    help = (
        "Move every stored secret to the newest key of ENCRYPTION_KEYS, while the site runs. Put the new key first, "
        "keep the old one behind it, restart every process, then run this; once it has ended with 0, the old may go."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        report = reencrypt(actor=COMMAND)
        self.stdout.write(json.dumps(report.as_json(), indent=2))
        if report.unreadable:
            self.stderr.write(
                "Some secrets cannot be opened. Add the key they are under to ENCRYPTION_KEYS, run again."
            )
        if report.remaining:
            self.stderr.write("Some secrets are still under an older key. Restart every process, then run this again.")
        if not report.is_complete:
            sys.exit(1)
