"""A brand to measure with: onboarded as an operator would, its consumers in open conversations."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.site import Site, say

if TYPE_CHECKING:
    from installations.models import Channel


@dataclass(frozen=True, kw_only=True)
class BenchBrand:
    account: str
    phone: str
    channel: Channel


def make_brand(site: Site, *, name: str, account: str) -> BenchBrand:
    """An installation at the simulator, a connector here, and a phone that stands for the brand's app."""
    from core.actor import COMMAND
    from installations.models import Channel
    from installations.onboarding import Wanted, onboard

    install = site.simulator("POST", f"accounts/{account}/installs", {})
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    done = onboard(
        Wanted(
            brand=name,
            lp_account_id=account,
            client_id=install["client_id"],
            client_secret=install["client_secret"],
            domain_api=site.simulator_url,
            channel_url=f"{site.simulator_url}/phones/{name}/inbox",
            channel_secret=secret,
        ),
        actor=COMMAND,
    )
    told = done.as_json()
    site.simulator("PATCH", f"accounts/{account}/installs/{install['client_id']}", told["manifest"])
    site.simulator(
        "PUT",
        f"phones/{name}",
        {"name": name, "brand": name, "account": account, "webhook_url": told["channel_webhook_url"], "secret": secret,
         "consumer": {"id": "c-0", "name": "C 0"}},
    )  # fmt: skip
    return BenchBrand(account=account, phone=name, channel=Channel.objects.get(pk=done.channel.pk))


def open_conversations(site: Site, brand: BenchBrand, *, count: int) -> None:
    """Have so many consumers write once, and wait until every conversation is open and quiet."""
    from conversations.models import Conversation, Dispatch, DispatchState

    say(f"  opening {count} conversations")
    for number in range(count):
        site.simulator(
            "POST", f"phones/{brand.phone}/say", {"consumer": {"id": f"c-{number}", "name": "C"}, "text": "hello"}
        )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        opened = Conversation.objects.filter(channel=brand.channel).count()
        waiting = Dispatch.objects.filter(brand=brand.channel.brand).exclude(state=DispatchState.SENT).count()
        if opened >= count and not waiting:
            return
        time.sleep(0.2)
    raise SystemExit(f"Only {opened} of {count} conversations were opened, {waiting} sends wait.")
