"""
Two demo brands: made known to the site and to the simulator as an operator would, then one real conversation on each.

What is done already is read from the simulator and the database, so an interrupted first start goes on where it ended,
and another PORT is made known at the next start.
"""

import base64
import contextlib
import io
import json
import os
import secrets
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from installations.models import AppInstallation

_STEP_WITHIN_S = 20.0
Found = TypeVar("Found")


class DemoFailed(Exception):
    """A step of the demo did not come about; the site itself runs."""


@dataclass(frozen=True)
class _Brand:
    slug: str
    name: str
    account: str
    consumer: dict[str, str]
    question: str
    answer: str


_BRANDS = (
    _Brand(
        slug="demo-parcels",
        name="Demo Parcels",
        account="90000001",
        consumer={"id": "+15550100", "name": "Ada"},
        question="Where is my parcel?",
        answer="It leaves today and is with you tomorrow.",
    ),
    _Brand(
        slug="demo-air",
        name="Demo Air",
        account="90000002",
        consumer={"id": "+15550200", "name": "Grace"},
        question="May I bring my bicycle?",
        answer="Yes. I have added it to your booking.",
    ),
)


def ensure(*, say: Callable[[str], None]) -> None:
    """Do what is missing. A failure is said, not raised: somebody who looks for it wants the site to run."""
    for brand in _BRANDS:
        try:
            client_id = _known_install(brand)
            if client_id is None or not _is_set_up(brand, client_id):
                say(f"    {brand.name}: onboarding")
                _set_up(brand, client_id)
            if not _conversations(brand):
                say(f"    {brand.name}: a consumer writes, an agent answers")
                _play(brand)
        except (DemoFailed, CommandError) as error:
            say(f"    {brand.name}: the demo could not be completed. {error}")


# --- onboarding ------------------------------------------------------------------------------------------------------


def _known_install(brand: _Brand) -> str | None:
    installs = _simulator("GET", f"accounts/{brand.account}")["installs"]
    return installs[0]["client_id"] if installs else None


def _is_set_up(brand: _Brand, client_id: str) -> bool:
    """Whether site, install and phone know each other by the addresses in use now."""
    phones = {phone["key"]: phone for phone in _simulator("GET", "phones")["phones"]}
    phone = phones.get(brand.slug)
    manifest = json.dumps(_simulator("GET", f"accounts/{brand.account}")["installs"][0]["manifest"])
    return (
        AppInstallation.objects.filter(client_id=client_id).exists()
        and phone is not None
        and phone["webhook_url"].startswith(f"{settings.PUBLIC_BASE_URL}/")
        and f"{settings.PUBLIC_BASE_URL}/webhooks/" in manifest
    )


def _set_up(brand: _Brand, client_id: str | None) -> None:
    path = f"accounts/{brand.account}/installs"
    made = _simulator("PATCH", f"{path}/{client_id}", {}) if client_id else _simulator("POST", path, {})
    channel_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with _secret_file(made["client_secret"]) as secret_file, _secret_file(channel_secret) as channel_secret_file:
        known = _onboard(
            brand=brand.slug,
            account=brand.account,
            client_id=made["client_id"],
            secret_file=secret_file,
            name=brand.name,
            domain_api=_simulator_url(),
            channel="custom",
            channel_name="App",
            channel_url=f"{_simulator_url()}/phones/{brand.slug}/inbox",
            channel_secret_file=channel_secret_file,
        )
    _simulator("PATCH", f"{path}/{made['client_id']}", known["manifest"])
    _simulator(
        "PUT",
        f"phones/{brand.slug}",
        {
            "name": f"{brand.name} app",
            "brand": brand.name,
            "account": brand.account,
            "webhook_url": known["channel_webhook_url"],
            "secret": channel_secret,
            "consumer": brand.consumer,
        },
    )


def _onboard(**options: str) -> dict[str, Any]:
    """Onboard by the command that operators use."""
    printed = io.StringIO()
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    remarks = io.StringIO()
    try:
        call_command("onboard", *arguments, stdout=printed, stderr=remarks)
    except SystemExit:
        raise DemoFailed(remarks.getvalue().strip()) from None
    return json.loads(printed.getvalue())


@contextlib.contextmanager
def _secret_file(secret: str) -> Iterator[str]:
    """A file only its owner may read, for as long as the command needs it."""
    handle, path = tempfile.mkstemp(dir=settings.DATA_DIR, prefix="demo-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secret)
        yield path
    finally:
        os.unlink(path)


# --- one conversation ------------------------------------------------------------------------------------------------


def _play(brand: _Brand) -> None:
    _simulator("POST", f"phones/{brand.slug}/say", {"text": brand.question})
    conversation = _wait_for(lambda: _conversation_with(brand, brand.question), "The question did not reach the agent.")
    path = f"accounts/{brand.account}/conversations/{conversation['id']}/agent"
    _simulator("POST", path, {"do": "join"})
    _simulator("POST", path, {"do": "say", "text": brand.answer})
    _wait_for(lambda: _has_arrived(brand, brand.answer), "The agent's answer did not reach the consumer.")


def _conversations(brand: _Brand) -> list[dict[str, Any]]:
    return _simulator("GET", f"accounts/{brand.account}/conversations")["conversations"]


def _conversation_with(brand: _Brand, text: str) -> dict[str, Any] | None:
    for conversation in _conversations(brand):
        if any(event.get("text") == text for event in conversation["events"]):
            return conversation
    return None


def _has_arrived(brand: _Brand, text: str) -> bool | None:
    posts = _simulator("GET", f"phones/{brand.slug}/messages")["messages"]
    return any(post["type"] == "message.created" and post["data"].get("text") == text for post in posts) or None


def _wait_for(look: Callable[[], Found | None], trouble: str) -> Found:
    deadline = time.monotonic() + _STEP_WITHIN_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise DemoFailed(trouble)
        time.sleep(0.1)
    return found


# --- the simulator's control API -------------------------------------------------------------------------------------


def _simulator_url() -> str:
    return f"http://127.0.0.1:{settings.SIMULATOR_PORT}"


def _simulator(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 -- a loopback address
        f"{_simulator_url()}/_simulator/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"The simulator answered {error.code} to {method} {path}.") from error
    except (OSError, ValueError) as error:
        raise DemoFailed(f"The simulator did not answer {method} {path}.") from error
