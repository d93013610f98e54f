"""The way back where the key of stored secrets is lost: the current secret is added, those of before are retired."""

from __future__ import annotations

import pytest

from core.actor import COMMAND
from installations.connectors import channel_secrets_of, secrets_of
from installations.models import AppInstallation, Channel
from installations.onboarding import Wanted, onboard
from tests.factories import World
from tests.installations.pages import SECRET, do, page_of

pytestmark = pytest.mark.django_db

LOST = b"\x01" + bytes(80)
CHANNEL_SECRET = "whsec_Y3VycmVudC1zZWNyZXQtb2YtdGhlLWNoYW5uZWw="


def lose_key_of(row: AppInstallation | Channel) -> str:
    """Returns the id of the secret that cannot be opened any more."""
    row.secrets.update(sealed=LOST)
    return str(row.secrets.get(retired_at=None).pk)


@pytest.mark.parametrize(
    ("whose", "given"),
    [("installation", {"secret": SECRET}), ("channel", {"secret": CHANNEL_SECRET, "name": "signing_secret"})],
)
def test_the_page_adds_the_current_secret_and_retires_what_cannot_be_opened(
    whose: str, given: dict[str, str], world: World
) -> None:
    row = getattr(world, whose)
    broken = lose_key_of(row)

    do(world.operator, row, "add-secret", **given)
    do(world.operator, row, "retire-secret", secret=broken, anyway="on")

    assert [one.reveal().decode() for one in row.secrets.filter(retired_at=None)] == [given["secret"]]
    assert "cannot be opened" not in page_of(world.operator, row)


def test_the_command_adds_the_current_secrets_beside_what_cannot_be_opened(world: World) -> None:
    for row in (world.installation, world.channel):
        lose_key_of(row)
    onboard(
        Wanted(
            brand=world.brand.slug,
            lp_account_id=world.account.lp_account_id,
            client_id=world.installation.client_id,
            client_secret=SECRET,
            channel_type=world.channel.type,
            channel_name=world.channel.name,
            channel_secret=CHANNEL_SECRET,
        ),
        actor=COMMAND,
    )
    for row in (world.installation, world.channel):
        row.secrets.filter(sealed=LOST).delete()

    assert secrets_of(world.installation) == (SECRET,)
    assert [one.value.decode() for one in channel_secrets_of(world.channel)] == [CHANNEL_SECRET]
