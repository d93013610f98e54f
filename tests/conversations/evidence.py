"""How a send comes to be in doubt, and what is known of it afterwards."""

from __future__ import annotations

from typing import Any

from conversations.models import Dispatch
from installations.models import AppInstallation
from tests.conversations.servers import Got
from tests.conversations.stand import ADA, Stand, forget_caches, in_thread
from tests.waiting import wait_until
from webhooks.models import Delivery, DeliveryState

BEN = "+15550111"


def policy(choice: str) -> None:
    AppInstallation.objects.update(unknown_policy=choice)
    forget_caches()


def the(text: str) -> Dispatch:
    return Dispatch.objects.select_related("message", "lane").get(message__content__text=text)


def lose_answer(stand: Stand, *, times: int = 1) -> None:
    """LivePerson does what it is asked, and its answer never comes."""
    stand.faults({"on": "send", "do": "lose_answer", "times": times})


def lose_request(stand: Stand) -> None:
    """The request is cut off before LivePerson has done anything; from here that looks the same."""
    stand.faults({"on": "send", "do": "reset", "times": 1})


def says(stand: Stand, text: str, *, consumer: str = ADA) -> None:
    stand.says(text, consumer=consumer)
    stand.work()


def says_and_is_echoed_before_the_answer(stand: Stand, text: str) -> None:
    stand.deliver_at_once()
    sends = len(stand.requests("send"))
    stand.says(text)
    with stand.answers_held("send"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("send", count=sends + 1)
        stand.pending()
        wait_until(lambda: not Delivery.objects.exclude(state=DeliveryState.PROCESSED).exists(), within_s=5)
    worker.join()


def without_echo_of(*texts: str) -> Any:
    """Loses the notifications that hold one of these texts."""
    return lambda got: not any(text in got.body.decode() for text in texts)


def is_echo(got: Got) -> bool:
    return b'"CONSUMER"' in got.body and b"ContentEvent" in got.body
