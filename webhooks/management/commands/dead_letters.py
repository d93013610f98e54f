"""`manage.py dead_letters`: lists what could be neither applied nor sent, and has it tried again."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.models import Brand
from core.actor import COMMAND
from webhooks import dead_letters
from webhooks.dead_letters import KINDS, Wanted


class Command(BaseCommand):
    help = (
        "List dead and quarantined deliveries and dead and parked dispatches, or have them applied and sent again. "
        "Prints one JSON object. A parked dispatch may have arrived: sent again it is marked as a possible duplicate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list or retry")
        shown = verbs.add_parser("list", help="Print them, oldest first.")
        again = verbs.add_parser("retry", help="Apply and send them again; ends with 1 when one was refused.")
        for one in (shown, again):
            one.add_argument("--brand", default="", help="only of this brand: its short name")
            one.add_argument("--kind", default="", choices=KINDS, help="only deliveries, or only dispatches")
            one.add_argument("--id", dest="ids", nargs="+", type=uuid.UUID, default=[], help="only these")
        again.add_argument("--reason", required=True, help="why; stands in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(brand=options["brand"], kind=options["kind"], ids=options["ids"])
        if wanted.brand and not Brand.objects.filter(slug=wanted.brand).exists():
            raise CommandError(f"There is no brand {wanted.brand!r}. Give the short name that its page shows.")
        if options["verb"] == "list":
            self.stdout.write(json.dumps(dead_letters.list_dead(wanted), indent=2))
            return
        if not (wanted.brand or wanted.ids):
            raise CommandError("Say which: give --brand or --id.")
        report = dead_letters.retry(wanted, actor=COMMAND, reason=options["reason"])
        self.stdout.write(json.dumps(report.as_json(), indent=2))
        if report.refused:
            sys.exit(1)
