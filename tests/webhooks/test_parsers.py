"""Every notification of the fixtures, every hostile body, and the rules that hold for all of them."""

from __future__ import annotations

import dataclasses
import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BodyUnusable
from core.events import (
    AcceptStatusChanged,
    ChatStateChanged,
    ContentPublished,
    ConversationChanged,
    EventUnknown,
    EventUnreadable,
    LivePersonEvent,
    RichContentPublished,
)
from tests.fixtures import names_in, read
from tests.fixtures.hostile import (
    DIALOG,
    HARMLESS,
    HOSTILE,
    TIME_MS,
    UNREADABLE,
    UNUSABLE,
    UNUSABLE_NOTIFICATIONS,
    change,
    conversation,
    encode,
    notification,
)
from tests.fixtures.liveperson.outcomes import OUTCOMES, Outcome
from webhooks.parsers import parse_liveperson


def parse_one(body: bytes) -> Any:
    events = parse_liveperson(body)
    assert len(events) == 1
    return events[0]


def parse_fixture(name: str) -> list[LivePersonEvent]:
    return parse_liveperson(read("liveperson", name))


# --- the fixtures -----------------------------------------------------------------------------------------------


def test_every_fixture_has_an_outcome_and_every_outcome_a_fixture() -> None:
    assert names_in("liveperson") == sorted(OUTCOMES)


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_notification_becomes_its_events(name: str) -> None:
    events = parse_fixture(name)
    assert [type(event).__name__ for event in events] == [outcome.event for outcome in OUTCOMES[name]]
    for event, outcome in zip(events, OUTCOMES[name], strict=True):
        assert facts_of(event, outcome) == outcome.facts


def facts_of(event: LivePersonEvent, outcome: Outcome) -> dict[str, Any]:
    """The facts that the outcome names, as the outcome writes them."""
    found: dict[str, Any] = {}
    for name, expected in outcome.facts.items():
        if name == "choices":
            choices = event.quick_replies  # type: ignore[attr-defined]
            found[name] = [{"title": c.title, "text": c.text, "metadata": c.metadata} for c in choices]
        elif name == "dialogs":
            found[name] = [dataclasses.asdict(dialog) for dialog in event.dialogs]  # type: ignore[attr-defined]
        elif name == "attachment":
            attachment = event.attachment  # type: ignore[attr-defined]
            found[name] = attachment and dataclasses.asdict(attachment)
        elif name == "identity" and expected.endswith("*"):
            found[name] = expected if fnmatchcase(event.identity, expected) else event.identity
        else:
            found[name] = getattr(event, name)
    return found


# --- identity and content ---------------------------------------------------------------------------------------


def test_the_same_event_again_with_other_times_is_the_same() -> None:
    first, again, once_more = (
        parse_one(read("liveperson", f"content_event__{variant}"))
        for variant in ("plain_text", "sent_ts", "subscription_id")
    )
    assert first == again == once_more


def test_escaped_and_unescaped_letters_are_the_same_event() -> None:
    assert parse_fixture("content_event__emoji") == parse_fixture("content_event__escaped_unicode")


@pytest.mark.parametrize("name", sorted(set(OUTCOMES) - {"unknown_type__without_changes"}))
def test_the_order_of_members_changes_neither_identity_nor_content(name: str) -> None:
    def reversed_members(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reversed_members(item) for key, item in reversed(value.items())}
        return [reversed_members(item) for item in value] if isinstance(value, list) else value

    body = read("liveperson", name)
    turned = encode(reversed_members(json.loads(body)))
    assert turned != body
    pairs = zip(parse_liveperson(body), parse_liveperson(turned), strict=True)
    assert all((one.identity, one.content) == (other.identity, other.content) for one, other in pairs)


def test_a_number_in_quotes_gives_the_same_identity() -> None:
    assert parse_one(notification(change(sequence="3"))) == parse_one(notification(change(sequence=3)))


@pytest.mark.parametrize(
    "other",
    [
        change(event={"message": "Hello!"}),
        change(messageAudience="AGENTS_AND_MANAGERS"),
        change(originatorMetadata={"id": "agent-9", "role": "CONSUMER"}),
        change(metadata=[{"type": "ExternalId", "id": "1"}]),
        change(event={"quickReplies": {"replies": [{"click": {"actions": [{"type": "publishText", "text": "1"}]}}]}}),
        change(event={"contentType": "hosted/file", "message": {"relativePath": "/v1/a.PNG"}}),
    ],
)
def test_other_content_under_the_same_identity_shows(other: dict[str, Any]) -> None:
    first, second = parse_one(notification(change())), parse_one(notification(other))
    assert first.identity == second.identity
    assert first.content != second.content


def test_two_forms_are_told_apart_without_keeping_what_is_in_them() -> None:
    forms = [
        parse_one(notification(change(event={"contentType": "forms/secure-submission", "message": {"card": number}})))
        for number in ("4111222233334444", "5555666677778888")
    ]
    assert forms[0].content != forms[1].content
    assert all("4111" not in repr(form) and "5555" not in repr(form) for form in forms)


def test_a_conversation_in_another_state_at_the_same_time_is_another_event() -> None:
    assert parse_one(conversation()).identity != parse_one(conversation(state="CLOSE")).identity


def test_upsert_and_delete_of_the_same_details_are_two_events() -> None:
    upsert = json.loads(conversation())
    delete = json.loads(conversation())
    delete["body"]["changes"][0]["type"] = "DELETE"
    assert parse_one(encode(upsert)).identity != parse_one(encode(delete)).identity


def test_choices_are_named_alike_each_time_and_unlike_those_of_any_other_message() -> None:
    card, again = parse_fixture("rich_content_event__card")[0], parse_fixture("rich_content_event__card")[0]
    other = parse_fixture("rich_content_event__old_message_member")[0]
    assert isinstance(card, RichContentPublished)
    assert isinstance(again, RichContentPublished)
    assert isinstance(other, RichContentPublished)
    assert card.quick_replies[0].id == again.quick_replies[0].id
    assert card.quick_replies[0].id != other.quick_replies[0].id


def test_the_number_before_a_choice_in_the_text_begins_its_id() -> None:
    event = parse_fixture("rich_content_event__carousel")[0]
    assert isinstance(event, RichContentPublished)
    for line_number, choice in enumerate(event.quick_replies, 1):
        assert choice.id.startswith(f"{line_number}-")
        assert f"{line_number}. {choice.title}" in event.text.splitlines()


def test_what_a_choice_says_goes_back_as_it_came() -> None:
    button = {
        "type": "button",
        "title": " Yes ",
        "click": {"actions": [{"type": "publishText", "text": " Yes, please "}]},
    }
    event = parse_one(notification(change(event={"quickReplies": {"replies": [button]}})))
    assert (event.quick_replies[0].title, event.quick_replies[0].text) == ("Yes", " Yes, please ")


def test_the_element_tree_of_rich_content_is_kept_as_it_came() -> None:
    event = parse_fixture("rich_content_event__card")[0]
    assert isinstance(event, RichContentPublished)
    assert (
        event.element
        == json.loads(read("liveperson", "rich_content_event__card"))["body"]["changes"][0]["event"]["content"]
    )


# --- hostile bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(UNUSABLE | UNUSABLE_NOTIFICATIONS))
def test_unusable_body_is_refused_as_a_whole(name: str) -> None:
    with pytest.raises(BodyUnusable) as refused:
        parse_liveperson(HOSTILE[name])
    assert_keeps_nothing_of_the_body(refused.value)


def assert_keeps_nothing_of_the_body(error: BaseException) -> None:
    """The decoders' own errors hold the whole body; none may hang on to ours."""
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_unreadable_change_is_quarantined_by_itself(name: str) -> None:
    event = parse_one(UNREADABLE[name])
    assert isinstance(event, EventUnreadable)
    assert event.why
    assert len(event.why) <= 300


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_odd_but_harmless_body_is_read(name: str) -> None:
    events = parse_liveperson(HARMLESS[name])
    assert not any(isinstance(event, (EventUnreadable, EventUnknown)) for event in events)


@pytest.mark.parametrize("name", sorted(UNREADABLE | HARMLESS))
def test_what_is_read_can_be_stored(name: str) -> None:
    for event in parse_liveperson(HOSTILE[name]):
        assert_can_be_stored(event)


def assert_can_be_stored(event: LivePersonEvent) -> None:
    """As PostgreSQL sees it: text without NUL and half pairs, JSON without NaN, ids and types within their columns."""
    facts = dataclasses.asdict(event)
    facts.pop("content")
    written = json.dumps(facts, ensure_ascii=False, default=str, allow_nan=False)
    written.encode("utf-8")
    assert "\\u0000" not in written
    assert len(event.identity) <= 590
    assert len(event.type) <= 64
    assert len(event.lp_conversation_id) <= 256
    assert len(event.lp_dialog_id) <= 256


def test_a_change_that_cannot_be_read_does_not_hide_the_others() -> None:
    events = parse_liveperson(notification(change(sequence=1), change(sequence=True), None, change(sequence=2)))
    assert [type(event) for event in events] == [ContentPublished, EventUnreadable, EventUnreadable, ContentPublished]


def test_the_unusable_member_is_named() -> None:
    with pytest.raises(BodyUnusable) as refused:
        parse_liveperson(UNUSABLE_NOTIFICATIONS["changes_null"])
    assert refused.value.field == "body.changes"


def test_as_many_changes_as_allowed_are_read_and_one_more_is_not() -> None:
    changes = [change(sequence=number) for number in range(200)]
    assert len(parse_liveperson(notification(*changes))) == 200
    with pytest.raises(BodyUnusable):
        parse_liveperson(notification(*changes, change()))
    assert len(parse_liveperson(notification(*changes, change()), max_changes=201)) == 201


def test_nesting_is_read_to_the_limit_and_not_beyond() -> None:
    def nested(levels: int) -> bytes:
        # Four levels of the notification are around it: the object, body, changes, the change.
        return notification(change(extra="X")).replace(b'"X"', b"[" * (levels - 4) + b"]" * (levels - 4))

    assert isinstance(parse_one(nested(100)), ContentPublished)
    with pytest.raises(BodyUnusable):
        parse_liveperson(nested(101))


# --- single rules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ms.MessagingEventNotification.ContentEvent", "ms.MessagingEventNotification"])
def test_a_notification_may_be_named_like_its_subscription(kind: str) -> None:
    assert isinstance(parse_one(notification(change(), type=kind)), ContentPublished)


def test_the_first_time_in_milliseconds_and_the_last_are_kept() -> None:
    for at_ms in (10**12, TIME_MS + 123, 10**13 - 1):
        event = parse_one(notification(change(serverTimestamp=at_ms)))
        assert round(event.server_at.timestamp() * 1000) == at_ms


@pytest.mark.parametrize("name", [name for name in HARMLESS if name.startswith("time_")])
def test_a_time_that_cannot_be_is_no_time(name: str) -> None:
    assert parse_one(HARMLESS[name]).server_at is None


@pytest.mark.parametrize("name", [name for name in HARMLESS if name.startswith("conversation_time_")])
def test_a_conversation_with_an_impossible_time_counts_as_the_oldest(name: str) -> None:
    event = parse_one(HARMLESS[name])
    assert (event.updated_at_ms, event.started_at, event.ended_at) == (0, None, None)


def test_text_keeps_everything_but_what_cannot_be_stored() -> None:
    text = " \tя\u202e👩‍👩‍👧 \u0301\u2028\r\n\x07 end"
    assert parse_one(notification(change(event={"message": text}))).text == text


def test_only_the_end_of_what_others_than_the_consumer_write_is_trimmed() -> None:
    consumer = {"id": "c", "role": "CONSUMER"}
    written = {"message": " Hi \n\n"}
    assert parse_one(notification(change(event=written))).text == " Hi"
    assert parse_one(notification(change(event=written, originatorMetadata=consumer))).text == " Hi \n\n"


@pytest.mark.parametrize("audience", ["AGENTS_AND_MANAGERS", "agents_and_managers", "NOBODY", "ALL_AGENTS"])
def test_nothing_but_the_audience_all_is_for_the_consumer(audience: str) -> None:
    assert parse_one(notification(change(messageAudience=audience))).audience != "ALL"


def test_a_role_in_small_letters_is_the_same_role() -> None:
    assert parse_one(notification(change(originatorMetadata={"role": "consumer"}))).is_from_consumer


def test_the_originator_is_taken_from_its_metadata_where_it_stands_nowhere_else() -> None:
    assert parse_one(notification(change(originatorId=...))).originator_id == "agent-9"


def test_the_dialogs_own_id_wins_over_that_of_the_conversation() -> None:
    event = parse_one(notification(change(dialogId="survey", conversationId=DIALOG)))
    assert (event.lp_dialog_id, event.lp_conversation_id, event.identity) == (
        "survey",
        DIALOG,
        "c:survey:3:ContentEvent",
    )


def test_receipts_of_repeated_sequences_name_each_once() -> None:
    event = {"type": "AcceptStatusEvent", "status": "read", "sequenceList": [4, "4", 2, 4]}
    receipt = parse_one(notification(change(event=event)))
    assert isinstance(receipt, AcceptStatusChanged)
    assert (receipt.status, receipt.sequences) == ("READ", (4, 2))


def test_a_chat_state_needs_no_sequence_and_ignores_one() -> None:
    event = {"type": "ChatStateEvent", "chatState": "composing"}
    with_one, without = (parse_one(notification(change(event=event, sequence=n))) for n in (5, ...))
    assert isinstance(with_one, ChatStateChanged)
    assert with_one.identity == without.identity == f"t:{DIALOG}:agent-9:COMPOSING"


def test_content_type_may_carry_a_charset() -> None:
    assert parse_one(notification(change(event={"contentType": "Text/Plain; charset=utf-8"}))).text == "Hello"


def test_only_close_closes() -> None:
    for state, is_open in (("OPEN", True), ("LOCKED", True), ("DREAMING", True), ("CLOSE", False), ("close", False)):
        event = parse_one(conversation(state=state, stage=...))
        assert isinstance(event, ConversationChanged)
        assert (event.state_is_open, event.stage_is_open) == (is_open, is_open)


def test_a_later_stage_outlives_the_state() -> None:
    event = parse_one(conversation(state="CLOSE", stage="OPEN"))
    assert (event.state_is_open, event.stage_is_open) == (False, True)


# --- anything at all --------------------------------------------------------------------------------------------

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\x00", "\ud800", "9" * 400, 2**31, 2**63, -1, [], {}, [[]], {"a": []}]),
)
_JSON = st.recursive(
    _ODD, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_body_unusable(body: bytes) -> None:
    try:
        parse_liveperson(body)
    except BodyUnusable:
        pass


@settings(max_examples=300, deadline=None)
@given(_JSON, st.sampled_from(["ms.MessagingEventNotification", "cqm.ExConversationChangeNotification", "x"]))
def test_no_changes_raise_anything_but_body_unusable(changes: Any, kind: str) -> None:
    try:
        events = parse_liveperson(encode({"type": kind, "body": {"changes": changes}}))
    except BodyUnusable:
        return
    for event in events:
        assert_can_be_stored(event)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_fixture_with_one_member_replaced_still_gives_its_events(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(OUTCOMES)))
    whole = json.loads(read("liveperson", name))
    places = [place for place in places_in(whole["body"]) if place]
    place = data.draw(st.sampled_from(places))
    holder = whole["body"]
    for step in place[:-1]:
        holder = holder[step]
    if data.draw(st.booleans()):
        holder[place[-1]] = data.draw(_JSON)
    else:
        del holder[place[-1]]
    try:
        events = parse_liveperson(encode(whole))
    except BodyUnusable:
        return
    for event in events:
        assert_can_be_stored(event)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places_in(item, (*path, key)))]


@pytest.mark.parametrize(
    "name", ["content_event__emoji", "rich_content_event__card", "conversation_change__survey_open"]
)
def test_a_body_cut_anywhere_is_unusable(name: str) -> None:
    body = read("liveperson", name)
    for length in range(len(body)):
        with pytest.raises(BodyUnusable):
            parse_liveperson(body[:length])
