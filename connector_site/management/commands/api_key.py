"""`manage.py api_key`: makes a key for the REST API, or revokes one."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.models import User
from connector_site import api_keys
from core.actor import COMMAND
from core.errors import ConfigurationError


class Command(BaseCommand):
    help = "Make an API key (it is printed once), or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create or revoke")
        create = verbs.add_parser("create", help="Make a key; prints it as JSON, once.")
        create.add_argument("--user", required=True, help="Whose key it is; it sees what this person sees.")
        create.add_argument("--days", type=int, default=90, help="Days until it ends, at most 90.")
        revoke = verbs.add_parser("revoke", help="Revoke a key at once.")
        revoke.add_argument("--prefix", required=True, help="The beginning of the key, as create printed it.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            told = self._create(options) if options["verb"] == "create" else self._revoke(options)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(told))

    def _create(self, options: dict[str, Any]) -> dict[str, str]:
        owner = User.objects.filter(username=options["user"]).first()
        if owner is None:
            raise CommandError(f"There is no person named {options['user']!r}. Make one in the admin first.")
        made = api_keys.create(owner=owner, days=options["days"], actor=COMMAND)
        return {
            "key": made.key,
            "prefix": made.prefix,
            "user": owner.get_username(),
            "expires_at": made.expires_at.isoformat(),
        }

    def _revoke(self, options: dict[str, Any]) -> dict[str, str]:
        owner = api_keys.revoke(prefix=options["prefix"], actor=COMMAND)
        return {"revoked": options["prefix"][:15], "user": owner}
