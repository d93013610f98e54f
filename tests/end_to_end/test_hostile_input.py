"""Everything hostile at once, signed, at the running site: nothing falls over, and a conversation goes on as before."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from datetime import UTC, datetime

import psutil
import requests
from standardwebhooks import Webhook

from tests.end_to_end.brand import PlayedBrand, eventually, onboard_brand
from tests.fixtures.hostile import HOSTILE
from tests.stack import Stack

SECRET = "a-second-client-secret-of-the-same-installation"


def test_no_body_stops_the_site(stack: Stack) -> None:
    brand = onboard_brand(stack, name="e2e-hostile", account="92000004")
    add_secret(brand)
    workers = processes(stack)
    logged = len(stack.log.read_text(errors="replace"))

    for name, body in HOSTILE.items():
        assert notify(brand, body) == 200, name
        assert tell(brand, body) in (200, 400, 401), name

    said = brand.say(consumer={"id": "+15550101", "name": "Ada"}, text="Is anybody there?")
    assert said["status"] == 200
    eventually(lambda: brand.conversations("+15550101"), "LivePerson has the conversation")
    talk = brand.conversations("+15550101")[0]["id"]
    eventually(lambda: "Is anybody there?" in brand.texts(talk, "CONSUMER"), "LivePerson has the text")
    brand.agent(talk, "join")
    brand.agent(talk, "say", text="Always.")
    eventually(
        lambda: [one["text"] for one in brand.posts("message.created", "+15550101")] == ["Always."], "The app has it"
    )
    eventually(lambda: waiting(brand) == 0, "Every delivery is applied")
    assert processes(stack) == workers, "a process has ended"
    assert stack.manage("check_invariants").returncode == 0
    assert "Traceback" not in stack.log.read_text(errors="replace")[logged:]


def add_secret(brand: PlayedBrand) -> None:
    client_id = asked(brand, "from installations.models import AppInstallation as A",
                      f"A.objects.get(pk='{brand.told['installation']}').client_id")  # fmt: skip
    done = brand.stack.manage(
        "onboard", "--brand", brand.name, "--account", brand.account, "--client-id", client_id, "--secret-file", "-",
        "--channel", "custom", "--no-test", input=SECRET,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def asked(brand: PlayedBrand, imported: str, expression: str) -> str:
    """What the site's own shell prints."""
    done = brand.stack.manage("shell", "-v", "0", "-c", f"{imported}; print({expression})")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def notify(brand: PlayedBrand, body: bytes) -> int:
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha1).digest()).decode()
    headers = {"X-Liveperson-Signature": f"sha1={signature}", "Content-Type": "application/json"}
    return requests.post(brand.told["liveperson_webhook_url"], data=body, headers=headers, timeout=10).status_code


def tell(brand: PlayedBrand, body: bytes) -> int:
    at, name = int(time.time()), f"msg_{uuid.uuid4().hex}"
    hook = Webhook(brand.told["channel_secret"])
    signature = hook.sign(name, datetime.fromtimestamp(at, UTC), body.decode("utf-8", "replace"))
    headers = {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signature}
    return requests.post(brand.told["channel_webhook_url"], data=body, headers=headers, timeout=10).status_code


def waiting(brand: PlayedBrand) -> int:
    rows = f"D.objects.filter(brand='{brand.told['brand']}', state='STORED').count()"
    return int(asked(brand, "from webhooks.models import Delivery as D", rows))


def processes(stack: Stack) -> set[int]:
    """Web server and worker with all that they have started."""
    return {
        one.pid for one in psutil.Process(stack.process.pid).children(recursive=True) if "postgres" not in one.name()
    }
