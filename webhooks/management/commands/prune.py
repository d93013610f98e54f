"""`manage.py prune`: removes everything whose time is over, now. Workers do the same, a little at a time."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from conversations.models import Erasure
from webhooks import erasure, retention

_TELL_EVERY_S = 2.0


class Command(BaseCommand):
    help = (
        "Remove contents, files and bodies that are past their last day, and identities that are older than "
        "IDENTITY_DAYS, batch by batch while the site runs; finish erasures that are under way. Progress goes to "
        "stderr, the numbers as JSON to stdout. What a legal hold keeps stays."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        removed: Counter[str] = Counter()
        told_at_s = time.monotonic()
        try:
            erasure.finish()
            for batch in retention.walk():
                removed[batch.kind] += batch.count
                if time.monotonic() - told_at_s >= _TELL_EVERY_S:
                    told_at_s = time.monotonic()
                    self.stderr.write(_sentence(removed))
        except OperationalError as error:
            raise CommandError("The database ended a batch. What was removed stays so; run it again.") from error
        under_way = Erasure.objects.filter(ended_at=None).count()
        self.stderr.write(f"Done: {_sentence(removed)}")
        if under_way:
            self.stderr.write(f"{under_way} erasures wait, for a legal hold or for a delivery that is to be applied.")
        self.stdout.write(json.dumps({"removed": dict(+removed), "erasures_under_way": under_way}))


def _sentence(removed: Counter[str]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted((+removed).items())) or "nothing"
