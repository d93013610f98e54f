"""The AppJWT and the ConsumerJWS: fetched once, renewed once, and what a wrong secret stops."""

from __future__ import annotations

import uuid

import pytest

from audit.models import AuditEntry
from conversations.models import ConsumerToken, Dispatch, Lane, MessageStatus
from core.actor import COMMAND
from installations import connectors, tokens
from installations import services as installations
from installations.models import AppToken, State
from tests.conversations.stand import Stand, forget_caches, in_thread, only_message


def rotate_at_liveperson(stand: Stand) -> str:
    """LivePerson gives the install a new secret and forgets the old one."""
    path = f"accounts/{stand.account}/installs/{stand.onboarded.installation.client_id}"
    secret: str = stand.simulator.control("PATCH", path, {"rotate_secret": True})["client_secret"]
    return secret


def expire(stand: Stand, which: str) -> None:
    stand.simulator.control("PATCH", f"accounts/{stand.account}", {"expire_tokens": which})


def test_many_consumers_share_one_app_token(stand: Stand) -> None:
    for number in range(12):
        stand.says("Hello", consumer=f"consumer-{number}")

    stand.settle()

    assert len(stand.requests("token")) == 1
    assert len(stand.at_liveperson()) == 12


def test_a_token_is_kept_for_the_next_worker(stand: Stand) -> None:
    stand.says("one")
    stand.work()
    stand.says("two")
    stand.work()

    assert len(stand.requests("token")) == 1
    assert len(stand.requests("consumer")) == 1


def test_a_token_is_renewed_before_it_expires(stand: Stand) -> None:
    stand.says("one")
    stand.work()
    AppToken.objects.get()
    stand.pass_time(56 * 60)

    stand.says("two")
    stand.work()

    assert len(stand.requests("token")) == 2
    assert stand.heard() == ["one", "two"]


def test_a_rejected_app_token_is_renewed_once_and_the_text_is_sent(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    expire(stand, "app")

    stand.says("two")
    stand.work()

    assert stand.heard() == ["one", "two"]
    assert len(stand.requests("token")) == 2
    assert stand.installation.state == State.ACTIVE


def test_a_rejected_consumer_token_is_fetched_anew(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    expire(stand, "consumer")

    stand.says("two")
    stand.work()

    assert stand.heard() == ["one", "two"]
    assert len(stand.requests("consumer")) == 2


def test_a_token_rejected_again_after_renewal_pauses_the_installation(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    stand.faults({"on": "send", "do": "status", "status": 401})

    stand.says("two")
    stand.work()

    assert stand.installation.state == State.PAUSED
    assert AuditEntry.objects.filter(action="installation.credentials_rejected").count() == 1
    assert Dispatch.objects.get(message__content__text="two").state == "QUEUED"


def test_an_expiry_long_after_another_one_is_a_new_expiry(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    stand.faults(
        {"on": "send", "do": "status", "status": 401, "times": 1},  # renewed, sent again …
        {"on": "send", "do": "status", "status": 429, "times": 1},  # … told to slow down …
        {"on": "send", "do": "status", "status": 401, "times": 1},  # … and expired again by then
    )
    stand.says("two")
    stand.work()

    stand.pass_time(30)
    stand.work()

    assert stand.installation.state == State.ACTIVE
    assert stand.heard() == ["one", "two"]


def test_a_wrong_secret_pauses_the_installation_and_loses_nothing(stand: Stand) -> None:
    rotate_at_liveperson(stand)
    stand.says("Where is my parcel?")

    stand.work()

    installation = stand.installation
    assert installation.state == State.PAUSED
    assert installation.paused_for == "CREDENTIALS_REJECTED"
    entry = AuditEntry.objects.get(action="installation.credentials_rejected")
    assert (entry.actor_kind, entry.brand_id) == ("SYSTEM", installation.brand_id)
    assert only_message().status == MessageStatus.QUEUED
    assert stand.client_secret not in installation.state_reason + entry.reason


def test_a_paused_installation_stores_and_sends_nothing(stand: Stand) -> None:
    rotate_at_liveperson(stand)
    stand.says("one")
    stand.work()
    calls = len(stand.requests("token"))

    stand.pass_time(7200)
    stand.says("two")
    stand.work()

    assert len(stand.requests("token")) == calls
    assert Lane.objects.get().blocked_by == "installation_paused"
    assert Lane.objects.get().due_at is None


def test_a_new_secret_resumes_the_installation_and_sends_what_waited_in_order(stand: Stand) -> None:
    secret = rotate_at_liveperson(stand)
    stand.says("one")
    stand.work()
    stand.pass_time(60)
    stand.says("two")
    stand.work()

    installations.add_client_secret(stand.installation, secret=secret, actor=COMMAND)
    stand.work()

    assert stand.installation.state == State.ACTIVE
    assert stand.heard() == ["one", "two"]


def test_a_worker_that_still_remembers_the_old_secret_does_not_pause_it_after_the_new_one_was_added(
    stand: Stand,
) -> None:
    secret = rotate_at_liveperson(stand)
    stand.says("Hello")
    connectors.get_connector(stand.channel.pk)
    remembered = dict(connectors._kept)
    installations.add_client_secret(stand.installation, secret=secret, actor=COMMAND)
    connectors._kept.update(remembered)

    stand.work()

    assert stand.installation.state == State.ACTIVE
    assert stand.heard() == ["Hello"]


def test_the_older_of_two_secrets_is_used_while_liveperson_does_not_know_the_newer(stand: Stand) -> None:
    installations.add_client_secret(stand.installation, secret="a-secret-of-tomorrow", actor=COMMAND)
    stand.says("Hello")

    stand.work()

    assert stand.heard() == ["Hello"]
    assert stand.installation.state == State.ACTIVE


def test_failed_logins_are_spaced(stand: Stand) -> None:
    stand.faults({"on": "token", "do": "status", "status": 503})
    stand.says("Hello")

    stand.work()
    stand.work()
    assert len(stand.requests("token")) == 1

    stand.pass_time(5.5)
    stand.work()
    assert len(stand.requests("token")) == 2
    stand.pass_time(5.5)
    stand.work()
    assert len(stand.requests("token")) == 2, "the second pause is twice as long"


def test_sending_goes_on_when_the_login_works_again(stand: Stand) -> None:
    stand.faults({"on": "token", "do": "status", "status": 503, "times": 1})
    stand.says("Hello")
    stand.work()

    stand.pass_time(6)
    stand.work()

    assert stand.heard() == ["Hello"]


def test_a_login_slower_than_the_workers_deadline_is_still_of_use(stand: Stand) -> None:
    stand.faults({"on": "token", "do": "delay", "seconds": 0.6, "times": 1})
    stand.says("Hello")

    stand.work(deadline_s=0.2)
    stand.pass_time(1)
    stand.work()

    assert len(stand.requests("token")) == 1
    assert stand.heard() == ["Hello"]


def test_credentials_changed_while_a_login_is_under_way_stay_changed(stand: Stand) -> None:
    secret = rotate_at_liveperson(stand)
    stand.says("Hello")
    with stand.answers_held("token"):
        worker = in_thread(stand.work)
        stand.simulator_waits_for("token")
        installations.add_client_secret(stand.installation, secret=secret, actor=COMMAND)
    worker.join()

    assert stand.installation.state == State.ACTIVE, "the login that failed had used the old secret"
    stand.work()
    assert stand.heard() == ["Hello"]


def test_a_token_that_cannot_be_opened_any_more_is_fetched_anew(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    AppToken.objects.update(sealed=b"\x01" + bytes(60))

    stand.says("two")
    stand.work()

    assert stand.heard() == ["one", "two"]


def test_what_can_be_sent_with_the_token_needs_no_client_secret(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    stand.installation.secrets.update(sealed=b"\x01" + bytes(60))
    forget_caches()

    stand.says("two")
    stand.work()

    assert stand.heard() == ["one", "two"]


def test_a_consumers_token_that_cannot_be_opened_any_more_is_fetched_anew(stand: Stand) -> None:
    stand.says("one")
    stand.settle()
    ConsumerToken.objects.update(sealed=b"\x01" + bytes(60))

    stand.says("two")
    stand.work()

    assert stand.heard() == ["one", "two"]


def test_a_token_moved_to_another_consumer_does_not_open(stand: Stand) -> None:
    stand.says("one", consumer="ada")
    stand.says("one", consumer="ben")
    stand.settle()
    ada, ben = ConsumerToken.objects.order_by("id")
    ConsumerToken.objects.filter(pk=ben.pk).update(sealed=ada.sealed)
    moved = ConsumerToken.objects.get(pk=ben.pk)

    from core.encryption import SealBroken

    with pytest.raises(SealBroken):
        moved.reveal()


def test_a_renewal_is_leased_to_one_worker(stand: Stand) -> None:
    from django.utils import timezone

    installation_id = stand.onboarded.installation.pk

    assert tokens.lease_renewal(installation_id, now=timezone.now())
    assert not tokens.lease_renewal(installation_id, now=timezone.now())


def test_an_unknown_installation_has_no_token(db: None) -> None:
    from django.utils import timezone

    assert tokens.look_up(uuid.uuid4(), now=timezone.now()).known is None
