"""The agents' messages on their way to the channel: its answers, its troubles, and pauses."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from audit.models import AuditEntry
from conversations.models import Direction, Dispatch, DispatchState, Lane, Message, MessageStatus
from conversations.services import operations
from core.actor import COMMAND
from installations import connectors, pausing
from installations import services as installations
from installations.models import Channel, State
from tests.conversations.servers import Play
from tests.conversations.stand import ADA, Stand, forget_caches, in_thread, make_door


@pytest.fixture
def talking(stand: Stand) -> Stand:
    stand.says("Hello")
    stand.settle()
    return stand


def agent_says(stand: Stand, text: str) -> None:
    stand.agent("say", text=text)
    stand.deliver()
    stand.work()


def answer() -> Message:
    return Message.objects.filter(direction=Direction.TO_CHANNEL).order_by("id").last()


def dispatch() -> Dispatch:
    return Dispatch.objects.select_related("lane").get(message=answer())


def nacks(stand: Stand) -> list[list[int]]:
    events = stand.at_liveperson()[0]["events"]
    return [one["sequenceList"] for one in events if one.get("status") == "NACK"]


def test_what_is_sent_is_signed_with_the_channels_own_secret(talking: Stand) -> None:
    agent_says(talking, "Grüße 👋🏽")

    got = talking.phone.got[-1]
    told = Webhook(talking.channel_secret).verify(got.body, got.headers)
    assert told["data"]["text"] == "Grüße 👋🏽"
    assert got.headers["webhook-id"] == told["data"]["id"] == str(dispatch().pk)


def test_two_secrets_sign_during_a_rotation(talking: Stand) -> None:
    from adapters.registry import get_adapter

    newer = get_adapter("custom").new_secret()
    installations.add_channel_secret(talking.channel, secret=newer, actor=COMMAND)
    agent_says(talking, "Hello")

    got = talking.phone.got[-1]
    for secret in (newer, talking.channel_secret):
        Webhook(secret).verify(got.body, got.headers)


@pytest.mark.parametrize("status", [202, 204])
def test_any_2xx_is_delivered(talking: Stand, status: int) -> None:
    talking.phone.default = Play(status=status)
    agent_says(talking, "Hello")

    assert answer().status == MessageStatus.DELIVERED


def test_410_says_that_the_consumer_is_gone_and_liveperson_is_told(talking: Stand) -> None:
    talking.phone.plays.append(Play(status=410))
    agent_says(talking, "Hello?")
    talking.settle()

    assert (dispatch().state, dispatch().error_code) == (DispatchState.FAILED, "consumer_gone")
    assert (answer().status, answer().error_code) == (MessageStatus.FAILED, "consumer_gone")
    assert nacks(talking) == [[answer().lp_sequence]]


@pytest.mark.parametrize("play", [Play(status=500), Play(drop=True), Play(status=429)])
def test_trouble_is_met_by_the_same_request_again(talking: Stand, play: Play) -> None:
    talking.phone.plays.append(play)
    agent_says(talking, "Hello")
    assert dispatch().state == DispatchState.QUEUED

    talking.pass_time(60)
    talking.work()

    first, second = [one for one in talking.phone.got if one.json["type"] == "message.created"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert answer().status == MessageStatus.DELIVERED
    assert dispatch().attempts.count() == 2


def test_retry_after_of_the_channel_is_obeyed(talking: Stand) -> None:
    talking.phone.plays.append(Play(status=429, headers={"Retry-After": "300"}))
    agent_says(talking, "Hello")

    talking.pass_time(290)
    talking.work()
    assert talking.received() == talking.received()[:1]
    talking.pass_time(200)
    talking.work()

    assert answer().status == MessageStatus.DELIVERED


def test_a_channel_that_never_recovers_ends_in_a_list_and_liveperson_is_told(talking: Stand) -> None:
    from core import retry

    talking.phone.default = Play(status=500)
    agent_says(talking, "Hello")
    for _ in range(retry.CHANNEL.max_attempts + 2):
        talking.pass_time(30_000)
        talking.work()

    assert dispatch().state == DispatchState.DEAD
    assert dispatch().attempts.count() == retry.CHANNEL.max_attempts
    assert nacks(talking) == [[answer().lp_sequence]]


@pytest.mark.parametrize("status", [302, 404])
def test_what_the_channel_rejects_fails_and_the_lane_goes_on(talking: Stand, status: int) -> None:
    talking.phone.plays.append(Play(status=status, headers={"Location": "http://169.254.169.254/"}))
    agent_says(talking, "rejected")
    agent_says(talking, "after it")

    rejected = Message.objects.get(content__text="rejected")
    assert (rejected.status, rejected.error_code) == (MessageStatus.FAILED, "request_rejected")
    assert answer().status == MessageStatus.DELIVERED


def test_answers_wait_behind_one_that_waits(talking: Stand) -> None:
    talking.phone.plays.append(Play(status=500))
    agent_says(talking, "one")
    agent_says(talking, "two")
    assert [one["text"] for one in talking.received()] == ["one"]

    talking.pass_time(60)
    talking.work()

    assert [one["text"] for one in talking.received()] == ["one", "one", "two"]


@pytest.mark.parametrize("status", [401])
def test_a_channel_that_does_not_accept_our_signature_is_paused_and_nothing_is_lost(
    talking: Stand, status: int
) -> None:
    talking.phone.default = Play(status=status)
    agent_says(talking, "one")
    agent_says(talking, "two")

    channel = talking.channel
    assert channel.state == State.PAUSED
    assert AuditEntry.objects.filter(action="channel.credentials_rejected").count() == 1
    assert talking.installation.state == State.ACTIVE

    talking.phone.default = Play()
    pausing.resume(channel, actor=COMMAND)
    talking.work()
    assert [one["text"] for one in talking.received()][-2:] == ["one", "two"]
    assert answer().status == MessageStatus.DELIVERED


def test_a_channel_without_an_address_fails_with_a_sentence(talking: Stand) -> None:
    Channel.objects.update(config={})
    forget_caches()
    agent_says(talking, "Hello")

    assert dispatch().state == DispatchState.FAILED
    assert dispatch().error_detail.startswith("The channel has no address for outgoing messages.")


def test_no_word_of_a_message_is_kept_of_what_the_channel_answers(talking: Stand) -> None:
    talking.phone.plays.append(Play(status=400, body=b'{"error": "canary-text for +15550100 refused"}'))
    agent_says(talking, "canary-text")

    attempt = dispatch().attempts.get()
    assert attempt.answer_head
    assert "canary-text" not in attempt.answer_head + attempt.detail
    assert ADA not in attempt.answer_head


# --- pauses ----------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_on_a_paused_channel_in_either_direction(talking: Stand) -> None:
    pausing.pause(talking.channel, actor=COMMAND, reason="maintenance")
    talking.agent("say", text="from the agent")
    talking.says("from the consumer")
    talking.deliver()
    talking.work()

    assert talking.received() == []
    assert talking.heard() == ["Hello"]
    assert {one.blocked_by for one in Lane.objects.all()} == {"channel_paused"}
    assert not Lane.objects.filter(due_at__isnull=False).exists(), "nobody looks at them for nothing"


@pytest.mark.parametrize("which", ["channel", "installation"])
def test_what_waited_for_a_pause_goes_out_in_order_when_it_ends(talking: Stand, which: str) -> None:
    row = getattr(talking, which)
    pausing.pause(row, actor=COMMAND, reason="maintenance")
    for number in range(3):
        talking.agent("say", text=f"answer {number}")
        talking.says(f"text {number}")
    talking.deliver()
    talking.work()

    pausing.resume(row, actor=COMMAND)
    talking.settle()

    assert [one["text"] for one in talking.received()] == ["answer 0", "answer 1", "answer 2"]
    assert talking.heard() == ["Hello", "text 0", "text 1", "text 2"]


def test_a_resume_rings(talking: Stand) -> None:
    from django_q.models import OrmQ

    pausing.pause(talking.channel, actor=COMMAND, reason="maintenance")
    OrmQ.objects.all().delete()

    pausing.resume(talking.channel, actor=COMMAND)

    assert OrmQ.objects.count() == 1


def test_a_worker_that_still_remembers_the_pause_does_not_put_a_lane_to_sleep(talking: Stand) -> None:
    pausing.pause(talking.channel, actor=COMMAND, reason="maintenance")
    talking.says("waits")
    talking.work()
    kept = dict(connectors._kept)
    pausing.resume(talking.channel, actor=COMMAND)
    connectors._kept.update(kept)  # this process remembers the pause for a moment: another one has ended it
    talking.says("comes just after")

    talking.work()

    assert talking.heard() == ["Hello", "waits", "comes just after"]


def test_a_pause_that_begins_while_something_is_under_way_lets_it_end(talking: Stand) -> None:
    talking.says("under way")
    talking.says("waits")
    with talking.answers_held("send"):
        worker = in_thread(talking.work)
        talking.simulator_waits_for("send", count=2)
        pausing.pause(talking.installation, actor=COMMAND, reason="maintenance")
    worker.join()

    assert talking.heard() == ["Hello", "under way"]
    assert Dispatch.objects.get(message__content__text="under way").state == DispatchState.SENT
    assert Dispatch.objects.get(message__content__text="waits").state == DispatchState.QUEUED


def test_another_installation_takes_a_channel_over_with_what_waits(talking: Stand) -> None:
    pausing.pause(talking.installation, actor=COMMAND, reason="wrong app")
    talking.says("waits")
    talking.work()
    credentials = talking.simulator.install(talking.account)

    make_door(
        account=talking.account,
        client_id=credentials["client_id"],
        client_secret=credentials["client_secret"],
        domain_api=talking.simulator.url,
        channel_url=talking.phone.url + "/agent",
    )
    talking.settle()

    assert talking.heard() == ["Hello", "waits"]
    assert len(talking.requests("consumer")) == 2, "one token for each installation"


def test_consumers_that_two_channels_share_are_answered_on_the_one_last_written_on(talking: Stand) -> None:
    other_phone = make_door(
        account=talking.account,
        client_id=talking.onboarded.installation.client_id,
        client_secret=talking.client_secret,
        domain_api=talking.simulator.url,
        channel_url=talking.phone.url + "/other",
        channel_name="second",
    )
    Channel.objects.filter(pk=other_phone.onboarded.channel.pk).update(prefix="custom", shares_prefix=True)
    forget_caches()
    other_phone.says("from the other side")
    talking.settle()

    agent_says(talking, "Hello there")

    assert talking.phone.got[-1].path == "/other"
    assert len(talking.at_liveperson()) == 1
    assert talking.heard() == ["Hello", "from the other side"]


def test_the_agent_is_told_that_a_person_has_dropped_the_answer(talking: Stand) -> None:
    talking.phone.default.status = 503
    agent_says(talking, "It leaves today.")

    operations.drop(dispatch_id=dispatch().pk, actor=COMMAND, reason="said by phone")
    talking.work()

    assert nacks(talking) == [[answer().lp_sequence]]
