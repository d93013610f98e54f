"""`manage.py onboard`: from credentials to a connector that works."""

from __future__ import annotations

import json
import sys
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from adapters.registry import list_adapters
from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import onboarding
from installations.common_checks import lacking_addresses
from installations.onboarding import Wanted

_NOTHING_KEPT = (
    "Nothing was kept. Put it right and run the same command again; --no-test keeps it without asking LivePerson."
)


class Command(BaseCommand):
    help = (
        "Create or update a connector: brand, LivePerson account, app installation, channel. Safe to repeat: a new "
        "secret is added, none is removed. First tests whether LivePerson accepts the secret, and keeps nothing if it "
        "does not. Prints one JSON object: ids, the URLs to hand out, the app install manifest."
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
        if {options["secret_file"], options["channel_secret_file"]} == {"-"}:
            raise CommandError("Standard input holds one secret only. Name a file for the other.")
        wanted = Wanted(
            brand=options["brand"],
            lp_account_id=options["account"],
            client_id=options["client_id"],
            client_secret=_read_secret(options["secret_file"], of="client secret"),
            installation_name=options["name"],
            domain_api=options["domain_api"],
            channel_type=options["channel"],
            channel_name=options["channel_name"],
            channel_url=options["channel_url"],
            channel_secret=(
                _read_secret(options["channel_secret_file"], of="channel's secret")
                if options["channel_secret_file"]
                else ""
            ),
        )
        try:
            tested = None if options["no_test"] else onboarding.test(wanted)
            if tested is not None:
                self.stderr.write(f"Connection test {'passed' if tested.has_passed else 'FAILED'}: {tested.detail}")
                if not tested.has_passed:
                    self.stderr.write(_NOTHING_KEPT)
                    sys.exit(1)
            done = onboarding.onboard(wanted, actor=COMMAND, tested=tested)
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        for label in lacking_addresses(done.channel):
            self.stderr.write(f"The channel has no {label} yet: what agents write fails until you give --channel-url.")
        self.stdout.write(json.dumps(done.as_json(), indent=2, ensure_ascii=False))


def _read_secret(source: str, *, of: str) -> str:
    """of: whose secret it is, for the sentence that says what is wrong with the file."""
    where = "Standard input" if source == "-" else f"The file {source}"
    try:
        raw = _read_input(of) if source == "-" else Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{where} is not text in UTF-8. Put the {of} into it, and nothing else.") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{where} cannot be read: {_why(error)}. Name a file that holds the {of}.") from None
    secret = raw.strip()
    if not secret:
        raise CommandError(f"{where} is empty. Put the {of} into it, and nothing else.")
    if not secret.isprintable():
        raise CommandError(f"{where} holds more than one line. Put the {of} into it, and nothing else.")
    return secret


def _read_input(of: str) -> str:
    """From a pipe as it comes; a person is asked, and what they type is not shown."""
    return getpass(f"The {of}: ") if sys.stdin.isatty() else sys.stdin.read()


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "this user may not read it"
    return (error.strerror or "").lower() if isinstance(error, OSError) and error.strerror else "it has no usable name"
