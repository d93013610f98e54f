"""The manifest that LivePerson is to have, and what the one that it has lacks: pasted, or read by an administrator."""

from __future__ import annotations

from typing import Any, Literal

from django.db import transaction
from django.utils import timezone

from audit import api as audit
from core.actor import Actor
from core.errors import BodyUnusable, ConfigurationError, ConnectorError, CredentialsRejected
from core.wire import read_json
from installations.connectors import client_for
from installations.models import AppInstallation
from installations.onboarding import manifest_of
from liveperson.installs import AppInstalls
from liveperson.manifest_check import Difference, differences, find_manifest

MOST_CHARACTERS = 100_000


def compare_pasted(installation: AppInstallation, *, text: str, actor: Actor) -> list[Difference]:
    """What a manifest lacks that somebody copied from LivePerson. Raises ConfigurationError where it is none."""
    try:
        held = read_json(text.encode("utf-8", "replace"))
    except BodyUnusable as error:
        raise ConfigurationError(error.detail.replace("The body", "What was pasted")) from None
    return _compare(installation, held, by="pasted", actor=actor)


def compare_read(installation: AppInstallation, *, bearer: str, actor: Actor) -> list[Difference]:
    """
    What the manifest lacks that LivePerson has now. Raises ConfigurationError where LivePerson does not show it.

    bearer: of an administrator's session at LivePerson; used for this one call, and not kept.
    """
    client = client_for(installation)
    installs = AppInstalls(client.http, client.domains, client.account_id, bearer.strip())
    try:
        held = [one.data for one in installs.list()]
    except CredentialsRejected:
        raise ConfigurationError("LivePerson does not accept this session. Copy the token of a fresh one.") from None
    except ConnectorError as error:
        raise ConfigurationError(f"LivePerson did not show its app installations. {error.detail}") from None
    return _compare(installation, held, by="read", actor=actor)


def _compare(
    installation: AppInstallation, held: Any, *, by: Literal["pasted", "read"], actor: Actor
) -> list[Difference]:
    try:
        manifest = find_manifest(held, client_id=installation.client_id)
        wanted: Any = manifest_of(installation)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    found = differences(manifest, wanted=wanted, client_id=installation.client_id)
    found += _of_secret(installation, manifest.get("client_secret"))
    _note(installation, found, by=by, actor=actor)
    return found


def _of_secret(installation: AppInstallation, given: Any) -> list[Difference]:
    """The secret itself is told to nobody, and kept nowhere."""
    if not isinstance(given, str) or not given.strip():
        return []
    known = installation.secrets.filter(retired_at=None)
    if any(row.is_same_as(given.strip().encode("utf-8", "replace")) for row in known):
        return []
    what = "The client secret in it is none of those that are valid here: add it, by a rotation."
    return [Difference(what=what, stops=True)]


@transaction.atomic
def _note(installation: AppInstallation, found: list[Difference], *, by: str, actor: Actor) -> None:
    installation.manifest_compared_at = timezone.now()
    installation.manifest_differences = [{"what": one.what[:300], "stops": one.stops} for one in found]
    installation.save(update_fields=["manifest_compared_at", "manifest_differences"])
    data = {"differences": len(found), "by": by}
    audit.record("installation.manifest.compared", actor=actor, subject=installation, data=data)
