"""`manage.py onboard`: from credentials to a connector that works."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from adapters.registry import list_adapters
from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import services
from installations.onboarding import Wanted, onboard


class Command(BaseCommand):
    help = (
        "Create or update a connector: brand, LivePerson account, app installation, channel. Safe to repeat: a new "
        "secret is added, none is removed. Prints one JSON object: ids, the URLs to hand out, the app install manifest."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--brand", required=True, help="short name of the brand, such as acme")
        parser.add_argument("--account", required=True, help="LivePerson account id, such as 12345678")
        parser.add_argument("--client-id", required=True, help="client id of the app installation, a UUID")
        parser.add_argument("--secret-file", required=True, help="file with the client secret, or - for standard input")
        parser.add_argument("--name", default="", help="name of the app installation as people read it")
        parser.add_argument("--domain-api", default="", help="scheme and host, where it is not LivePerson's own")
        parser.add_argument("--channel", required=True, choices=[adapter.type for adapter in list_adapters()])
        parser.add_argument("--channel-name", default="", help="name of the channel; its type by default")
        parser.add_argument("--channel-url", default="", help="where the channel takes the agents' messages")
        parser.add_argument(
            "--channel-secret-file", default="", help="file with the channel's secret; else one is made"
        )
        parser.add_argument("--no-test", action="store_true", help="do not ask LivePerson for a token")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(
            brand=options["brand"],
            lp_account_id=options["account"],
            client_id=options["client_id"],
            client_secret=_read_secret(options["secret_file"]),
            installation_name=options["name"],
            domain_api=options["domain_api"],
            channel_type=options["channel"],
            channel_name=options["channel_name"],
            channel_url=options["channel_url"],
            channel_secret=_read_secret(options["channel_secret_file"]) if options["channel_secret_file"] else "",
        )
        try:
            done = onboard(wanted, actor=COMMAND)
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps(done.as_json(), indent=2, ensure_ascii=False))
        if not options["no_test"]:
            tested = services.test_connection(done.installation, actor=COMMAND)
            self.stderr.write(f"Connection test {'passed' if tested.test_passed else 'FAILED'}: {tested.test_detail}")
            if not tested.test_passed:
                sys.exit(1)


def _read_secret(source: str) -> str:
    if source == "-":
        return sys.stdin.read().strip()
    try:
        return Path(source).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The secret could not be read from {source}: {type(error).__name__}.") from None
