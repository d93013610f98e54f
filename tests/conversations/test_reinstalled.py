"""A connector that is installed anew while calls are under way: what they bring belongs to the one they used."""

from __future__ import annotations

import uuid

from conversations.models import ConsumerToken, Conversation
from installations.models import AppInstallation, State
from tests.conversations.stand import Stand, forget_caches, in_thread


def install_anew(stand: Stand) -> None:
    """The channel points to another installation of the same account, as after a re-installation."""
    old = stand.installation
    new = AppInstallation.objects.create(
        brand_id=old.brand_id, account_id=old.account_id, name="anew", client_id=str(uuid.uuid4())
    )
    channel = stand.channel
    fields = ["installation", *channel.moved_from(channel.installation)]
    channel.installation = new
    channel.save(update_fields=fields)
    forget_caches()


def install_anew_during(stand: Stand, on: str) -> None:
    """Work, and install anew when a request has reached one of LivePerson's services and has no answer yet."""
    stand.says("Hello")
    with stand.answers_held(on):
        worker = in_thread(stand.work)
        stand.simulator_waits_for(on)
        install_anew(stand)
    worker.join()


def test_a_consumers_token_is_kept_for_the_installation_that_asked_for_it(stand: Stand) -> None:
    old = stand.installation

    install_anew_during(stand, "consumer")

    assert ConsumerToken.objects.get().installation_id == old.pk


def test_a_conversation_belongs_to_the_installation_that_opened_it(stand: Stand) -> None:
    old = stand.installation

    install_anew_during(stand, "conversation")

    assert Conversation.objects.get().installation_id == old.pk


def test_rejected_credentials_pause_the_installation_that_used_them(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    old = stand.installation
    stand.faults({"on": "send", "do": "status", "status": 401, "times": 1}, {"on": "token", "do": "hold"})
    stand.says("and this")

    worker = in_thread(stand.work)
    stand.simulator_waits_for("token", count=2)
    stand.simulator.control("PATCH", f"accounts/{stand.account}", {"expire_tokens": "app"})  # the new one too
    with stand.answers_held("send"):
        stand.simulator_waits_for("send", count=3)
        install_anew(stand)
    worker.join()

    assert AppInstallation.objects.get(pk=old.pk).state == State.PAUSED
