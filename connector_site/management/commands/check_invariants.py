"""`manage.py check_invariants`: asks the database whether every promise holds."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from connector_site.invariants import all_invariants, as_json, check


class Command(BaseCommand):
    help = "Run the promise queries. Prints what is broken as JSON, and ends with 1 when something is."

    def handle(self, *args: Any, **options: Any) -> None:
        invariants = all_invariants()
        breaches = check(invariants)
        self.stdout.write(as_json(breaches, checked=len(invariants)))
        for breach in breaches:
            self.stderr.write(f"BROKEN {breach.invariant.name}: {breach.invariant.promise}")
        if breaches:
            sys.exit(1)
