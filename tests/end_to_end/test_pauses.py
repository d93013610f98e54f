"""A pause on the running site: made in another process than the workers', it keeps them within two seconds."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from tests.end_to_end.brand import PlayedBrand, eventually, onboard_brand
from tests.stack import Stack

WHO = "+15550100"
SAID = [f"answer {number}" for number in range(4)]


@pytest.fixture(scope="module")
def brand(stack: Stack) -> PlayedBrand:
    return onboard_brand(stack, name="e2e-paused", account="92000031")


def shell(stack: Stack, script: str) -> str:
    done = stack.manage("shell", "-v", "0", "-c", _HEAD + script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_HEAD = """
from conversations.models import Attempt, Lane
from core.actor import COMMAND
from installations import pausing
from installations.models import Channel, PausedDirection
"""


_ASLEEP = """
import time
deadline = time.monotonic() + 60
while not Lane.objects.filter(blocked_by='channel_paused', due_at=None).exists():
    assert time.monotonic() < deadline, 'The lane does not sleep.'
    time.sleep(0.1)
"""


def kill_workers(stack: Stack) -> None:
    """As the kernel does when memory runs out; their supervisor starts others."""
    children = psutil.Process(stack.process.pid).children(recursive=True)
    cluster = [one for one in children if "qcluster" in " ".join(one.cmdline())]
    assert cluster
    for one in cluster:
        os.kill(one.pid, signal.SIGKILL)


def test_what_agents_say_waits_while_a_channel_is_paused_and_leaves_in_order(brand: PlayedBrand, stack: Stack) -> None:
    channel = f"Channel.objects.get(brand_id='{brand.told['brand']}')"
    brand.say(consumer={"id": WHO}, text="Hello")
    lp_id = eventually(lambda: brand.conversations(WHO), "The conversation is opened")[0]["id"]
    brand.agent(lp_id, "join")

    shell(stack, f"pausing.pause({channel}, actor=COMMAND, reason='moved', direction=PausedDirection.TO_CHANNEL)")
    time.sleep(2)
    for text in SAID:
        brand.agent(lp_id, "say", text=text)
    brand.say(consumer={"id": WHO}, text="Still there?")
    eventually(lambda: "Still there?" in brand.texts(lp_id, "CONSUMER"), "The other direction goes on")
    shell(stack, _ASLEEP)
    kill_workers(stack)
    brand.agent(lp_id, "say", text="answer 4")

    assert brand.posts("message.created") == []
    of_channel = f"dispatch__direction='TO_CHANNEL', dispatch__brand_id='{brand.told['brand']}'"
    resume = f"pausing.resume({channel}, actor=COMMAND)"
    assert shell(stack, f"print(Attempt.objects.filter({of_channel}).count()); {resume}") == "0"
    arrived = eventually(lambda: brand.posts("message.created")[4:] and brand.posts("message.created"), "All arrive")
    assert [post["text"] for post in arrived] == [*SAID, "answer 4"]
