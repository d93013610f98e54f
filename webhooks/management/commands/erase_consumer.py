"""`manage.py erase_consumer`: erases one consumer everywhere, and stays until it is done."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.models import Consumer, Erasure
from conversations.services.erasure import RemovalRefused, erase_consumer
from core.actor import COMMAND
from core.ids import id_in
from webhooks import erasure


class Command(BaseCommand):
    help = (
        "Erase one consumer: words, files, name, ids, tokens, and what is still to be sent. It cannot be taken back. "
        "Run again, it goes on where it was stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        # No number or name as an argument: those can be read in lists of processes, and stay in a shell's history.
        parser.add_argument("--consumer", required=True, help="Our id of the consumer, from the address of its page.")
        parser.add_argument("--reason", required=True, help="Why; stays in the trail, so without name and number.")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = id_in(options["consumer"])
        consumer = Consumer.objects.filter(pk=wanted).first() if wanted else None
        if consumer is None:
            raise CommandError("There is no consumer with this id. Copy it from the address of the consumer's page.")
        if consumer.erased_at is None:
            try:
                erase_consumer(consumer_id=consumer.pk, actor=COMMAND, reason=options["reason"])
            except RemovalRefused as refusal:
                raise CommandError(str(refusal)) from None
        erasure.finish()
        done = Erasure.objects.get(pk=consumer.pk)
        told = {"consumer": str(done.pk), "begun_at": done.begun_at.isoformat(), "removed": done.removed}
        self.stdout.write(json.dumps({**told, "ended_at": done.ended_at and done.ended_at.isoformat()}))
        if done.ended_at is None:
            self.stderr.write("A delivery that speaks of others too is still to be applied. A worker goes on after it.")
            sys.exit(1)
