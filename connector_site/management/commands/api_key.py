"""`manage.py api_key`: makes a key for the REST API, lists keys, or revokes one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from access.models import ApiKey, Brand, User
from access.resources import RESOURCES
from connector_site import api_keys
from core.actor import COMMAND
from core.errors import ConfigurationError


class Command(BaseCommand):
    help = "Make an API key (it is printed once), list keys, or revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create, list or revoke")
        create = verbs.add_parser("create", help="Make a key; prints it as JSON, once.")
        create.add_argument("--user", required=True, help="Whose key it is; it sees no more than this person sees.")
        create.add_argument("--days", type=int, default=90, help="Days until it ends, at most 90.")
        create.add_argument("--name", default=api_keys.USUAL_NAME, help="What it is for.")
        create.add_argument(
            "--brand", action="append", default=[], metavar="SLUG", help="Limit it to this brand; may be repeated."
        )
        create.add_argument(
            "--resource",
            action="append",
            default=[],
            metavar="NAME",
            help=f"Limit it to this resource; may be repeated. One of {', '.join(RESOURCES)}.",
        )
        create.add_argument("--content", action="store_true", help="Let it read what was said.")
        create.add_argument("--operate", action="store_true", help="Let it send again, drop, pause and resume.")
        listing = verbs.add_parser("list", help="Print the keys that are valid, newest first, as JSON.")
        listing.add_argument("--user", help="Only those of this person.")
        listing.add_argument("--all", action="store_true", help="Those that ended or were revoked too.")
        revoke = verbs.add_parser("revoke", help="Revoke a key at once.")
        revoke.add_argument("--prefix", required=True, help="The beginning of the key, as create printed it.")
        revoke.add_argument("--reason", default="", help="Why; stands in the audit trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = {"create": self._create, "list": self._list, "revoke": self._revoke}[options["verb"]]
        try:
            told = verb(options)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(told))

    def _create(self, options: dict[str, Any]) -> dict[str, Any]:
        wanted = api_keys.Wanted(
            name=options["name"],
            brands=_brands(options["brand"]),
            resources=options["resource"],
            may_read_content=options["content"],
            may_operate=options["operate"],
        )
        made = api_keys.create(owner=_person(options["user"]), days=options["days"], actor=COMMAND, wanted=wanted)
        return {"key": made.secret, **_told_of(made.row)}

    def _list(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        keys = ApiKey.objects.select_related("owner").prefetch_related("brands")
        if options["user"]:
            keys = keys.filter(owner=_person(options["user"]))
        if not options["all"]:
            keys = keys.filter(revoked_at=None, expires_at__gt=timezone.now())
        return [_told_of(key) for key in keys]

    def _revoke(self, options: dict[str, Any]) -> dict[str, str]:
        key = api_keys.find(options["prefix"])
        api_keys.revoke(key, actor=COMMAND, reason=options["reason"])
        return {"revoked": key.prefix, "user": key.owner.get_username()}


def _person(username: str) -> User:
    person = User.objects.filter(username=username).first()
    if person is None:
        raise CommandError(f"There is no person named {username!r}. Make one in the admin first.")
    return person


def _brands(slugs: Iterable[str]) -> list[Brand]:
    brands = {brand.slug: brand for brand in Brand.objects.filter(slug__in=list(slugs))}
    for slug in slugs:
        if slug not in brands:
            raise CommandError(
                f"There is no brand {slug!r}. Give its short name, as the admin's list of brands has it."
            )
    return list(brands.values())


def _told_of(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "prefix": key.prefix,
        "name": key.name,
        "user": key.owner.get_username(),
        "brands": sorted(brand.slug for brand in key.brands.all()),
        "resources": key.resources,
        "content": key.may_read_content,
        "operate": key.may_operate,
        "standing": key.standing_at(timezone.now()),
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat(),
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        "last_used_from": key.last_used_from,
    }
