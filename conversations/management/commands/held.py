"""`manage.py held`: lists the lanes that a restore holds, drops what they hold, and releases them."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.models import Brand
from conversations import held_list
from conversations.held_list import Wanted
from conversations.models import Direction, Dispatch
from conversations.services import held_lanes, operations
from core.actor import COMMAND


class Command(BaseCommand):
    help = (
        "List the outbound lanes that a restore holds, or release them: what is in doubt is then sent, marked as a "
        "possible duplicate. Drop first what you have seen at LivePerson or on the channel. Prints one JSON object."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list or release")
        shown = verbs.add_parser("list", help="Print held lanes, what waits in them, and the newest releases.")
        freed = verbs.add_parser("release", help="Let lanes go on; ends with 1 when something was refused.")
        for one in (shown, freed):
            one.add_argument("--brand", default="", help="only of this brand: its short name")
            one.add_argument("--direction", default="", type=str.upper, choices=list(Direction.values))
            one.add_argument("--lane", dest="ids", nargs="+", type=uuid.UUID, default=[], help="only these")
        freed.add_argument("--drop", nargs="+", type=uuid.UUID, default=[], help="dispatches not to be sent")
        freed.add_argument("--reason", required=True, help="why; stands in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(brand=options["brand"], direction=options["direction"], ids=options["ids"])
        if wanted.brand and not Brand.objects.filter(slug=wanted.brand).exists():
            raise CommandError(f"There is no brand {wanted.brand!r}. Give the short name that its page shows.")
        if options["verb"] == "list":
            self.stdout.write(json.dumps(held_list.list_held(wanted), indent=2))
            return
        if not (wanted.brand or wanted.direction or wanted.ids or options["drop"]):
            raise CommandError("Say which: give --brand, --direction, --lane or --drop.")
        told = _Release(wanted, reason=options["reason"])
        told.drop(options["drop"])
        if wanted.brand or wanted.direction or wanted.ids:
            told.release()
        self.stdout.write(json.dumps(told.as_json(), indent=2))
        if told.refused:
            sys.exit(1)


class _Release:
    """What one call drops and releases, each in a transaction and with a line in the trail of its own."""

    def __init__(self, wanted: Wanted, *, reason: str) -> None:
        self.wanted = wanted
        self.reason = reason
        self.dropped: list[uuid.UUID] = []
        self.released: list[held_lanes.Released] = []
        self.refused: list[tuple[uuid.UUID, str]] = []

    def drop(self, dispatch_ids: list[uuid.UUID]) -> None:
        for one in dispatch_ids:
            if not Dispatch.objects.filter(pk=one, lane__held_at__isnull=False).exists():
                self.refused.append((one, "No held lane has a dispatch with this id; list shows those that there are."))
                continue
            try:
                operations.drop(dispatch_id=one, actor=COMMAND, reason=self.reason)
                self.dropped.append(one)
            except operations.NotPossible as refusal:
                self.refused.append((one, str(refusal)))

    def release(self) -> None:
        for lane_id in list(held_list.held_lanes(self.wanted).values_list("pk", flat=True)):
            try:
                self.released.append(held_lanes.release(lane_id=lane_id, actor=COMMAND, reason=self.reason))
            except held_lanes.NotHeld:
                continue  # evidence came first

    def as_json(self) -> dict[str, Any]:
        return {
            "dropped": [str(one) for one in self.dropped],
            "released": [
                {
                    "lane": str(one.lane_id),
                    "dispatches": one.dispatches,
                    "possible_duplicates": [str(dispatch_id) for dispatch_id in one.possible_duplicates],
                }
                for one in self.released
            ],
            "refused": [{"id": str(one), "why": why} for one, why in self.refused],
        }
