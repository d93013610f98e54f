"""One conversation through every part: what each side hears."""

from conversations.models import Attempt, Consumer, Conversation, Direction, Dispatch, Message, MessageStatus
from core import queue
from tests.conversations.stand import ADA, Stand


def test_a_consumers_text_opens_a_conversation_and_reaches_liveperson(stand: Stand) -> None:
    stand.says("Where is my parcel?")

    stand.settle()

    assert stand.heard() == ["Where is my parcel?"]
    message = Message.objects.get()
    assert message.status == MessageStatus.SENT
    assert message.conversation.lp_conversation_id == stand.lp_conversation_id


def test_one_doorbell_is_enough_for_the_first_message_of_a_new_connector(stand: Stand) -> None:
    stand.says("Where is my parcel?")

    stand.work()

    assert stand.heard() == ["Where is my parcel?"]


def test_an_agents_answer_reaches_the_channel_and_liveperson_is_told_so(stand: Stand) -> None:
    stand.says("Where is my parcel?")
    stand.settle()

    stand.agent("say", text="It leaves today.")
    stand.settle()

    assert [one["text"] for one in stand.received()] == ["It leaves today."]
    answer = Message.objects.get(direction=Direction.TO_CHANNEL)
    assert answer.status == MessageStatus.DELIVERED
    receipts = [one for one in stand.at_liveperson()[0]["events"] if one["type"] == "AcceptStatusEvent"]
    assert [(one["status"], one["sequenceList"]) for one in receipts] == [("ACCEPT", [answer.lp_sequence])]


def test_what_the_channel_is_sent_names_the_consumer_and_our_own_conversation(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    stand.agent("say", text="Hi")
    stand.settle()

    sent = stand.received()[0]

    assert sent["consumer"] == {"id": ADA}
    assert sent["conversation"] == str(Conversation.objects.get().pk)
    assert sent["sender"] == {"role": "agent"}
    assert sent["id"] == str(Dispatch.objects.get(message__direction=Direction.TO_CHANNEL).pk)


def test_texts_keep_their_order(stand: Stand) -> None:
    for number in range(8):
        stand.says(f"text {number}")

    stand.settle()

    assert stand.heard() == [f"text {number}" for number in range(8)]


def test_answers_keep_their_order_in_one_notification_and_over_several(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()

    stand.agent("say", text=["one", "two"])
    stand.agent("say", text="three")
    stand.settle()

    assert [one["text"] for one in stand.received()] == ["one", "two", "three"]


def test_consumers_have_conversations_of_their_own(stand: Stand) -> None:
    stand.says("from Ada", consumer="ada")
    stand.says("from Ben", consumer="ben")

    stand.settle()

    assert sorted(stand.heard(number)[0] for number in (0, 1)) == ["from Ada", "from Ben"]


def test_liveperson_is_told_who_the_consumer_is(stand: Stand) -> None:
    stand.says("Hello", name="Ada Lovelace", profile={"ctype": "gold", "unknown": "left out"})

    stand.settle()

    profile = stand.at_liveperson()[0]["profile"]
    assert profile["firstName"] == "Ada"
    customer, personal = profile["authenticatedData"]["lp_sdes"]
    assert customer == {"type": "ctmrinfo", "info": {"ctype": "gold", "socialId": f"custom:{ADA}"}}
    assert personal == {"type": "personal", "personal": {"firstname": "Ada", "lastname": "Lovelace"}}


def test_a_profile_does_not_grow_without_end(stand: Stand) -> None:
    for number in range(8):
        stand.says(f"Hello {number}", profile={f"told{number}": "x" * 5_000})
    stand.says("Too much", consumer="+15550199", profile={"told": "x" * 50_000})

    stand.settle()

    profile = Consumer.objects.get(channel_consumer_id=ADA).profile
    assert sorted(profile) == [f"told{number}" for number in range(6)]
    assert Consumer.objects.get(channel_consumer_id="+15550199").profile == {}


def test_a_changed_profile_is_sent_while_a_conversation_is_open(stand: Stand) -> None:
    stand.says("Hello", profile={"ctype": "gold"})
    stand.settle()

    stand.says("Me again", profile={"ctype": "platinum"})
    stand.settle()

    assert stand.at_liveperson()[0]["profile"]["authenticatedData"]["lp_sdes"][0]["info"]["ctype"] == "platinum"
    assert stand.heard() == ["Hello", "Me again"]


def test_every_try_is_on_record_and_none_is_left_open(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()

    steps = [(one.step, one.outcome) for one in Attempt.objects.order_by("id")]

    assert steps == [("IDENTIFY", "ACCEPTED"), ("OPEN", "ACCEPTED"), ("PUBLISH", "ACCEPTED")]
    assert not Attempt.objects.filter(finished_at=None).exists()


def test_a_message_is_traced_by_the_id_of_its_delivery(stand: Stand) -> None:
    delivery = stand.says("Hello").json()["delivery"]
    stand.settle()

    assert Message.objects.get().correlation_id == delivery
    assert Dispatch.objects.get(kind="TEXT").correlation_id == delivery


def test_a_second_work_finds_nothing_to_do(stand: Stand) -> None:
    stand.says("Hello")
    stand.settle()
    sent = len(stand.requests("send"))

    stand.pass_time(3600)
    stand.work()

    assert len(stand.requests("send")) == sent
    assert queue.WORK  # the name that doorbells carry
