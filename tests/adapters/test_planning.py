"""Cutting a message into parts, for channels that take less than the custom one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Capabilities
from adapters.planning import part_id, plan_parts, split_text
from core.events import AgentMessage, Attachment, QuickReply

FILES = tuple(Attachment(url=f"https://hub.test/{number}") for number in range(5))
CHOICES = tuple(QuickReply(id=f"{n}-x", title=f"Choice {n}", text=f"I take {n}") for n in (1, 2, 3))


def message(**facts: Any) -> AgentMessage:
    at = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    return AgentMessage(
        **{"id": "id-1", "conversation_id": "c", "consumer_id": "u", "occurred_at": at, "role": "agent", **facts}
    )


def texts_of(text: str, most: int | None, unit: str = "chars") -> list[str]:
    return list(split_text(text, most=most, unit=unit))


# --- texts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("", 10, []),
        ("short", 10, ["short"]),
        ("exactly 10", 10, ["exactly 10"]),
        ("one two three", 10, ["one two ", "three"]),
        ("one two\nthree", 10, ["one two\n", "three"]),
        ("abcdefghijklm", 10, ["abcdefghij", "klm"]),
        ("a bcdefghijklm", 10, ["a bcdefghi", "jklm"]),  # the only blank would leave too short a part
        ("anything at all", None, ["anything at all"]),
    ],
)
def test_a_text_is_cut_behind_a_blank_where_one_is_near(text: str, most: int | None, parts: list[str]) -> None:
    assert texts_of(text, most) == parts


@pytest.mark.parametrize(
    ("text", "most", "unit", "parts"),
    [
        ("ab👋cd", 3, "utf16", ["ab", "👋c", "d"]),
        ("ab👋cd", 3, "chars", ["ab👋", "cd"]),
        ("äöü", 4, "bytes", ["äö", "ü"]),
        ("a👋", 4, "bytes", ["a", "👋"]),
    ],
)
def test_the_providers_unit_counts(text: str, most: int, unit: str, parts: list[str]) -> None:
    assert texts_of(text, most, unit) == parts


@pytest.mark.parametrize(
    "whole",
    ["e\u0301", "👩\u200d🔧", "👋\U0001f3fd", "🇦🇹", "❤\ufe0f"],
    ids=["letter_and_mark", "joined_emoji", "skin_tone", "flag", "variant"],
)
def test_what_a_reader_sees_as_one_is_not_cut(whole: str) -> None:
    parts = texts_of("xxxxxxx" + whole + "yyyyyyyyy", 8)
    assert "".join(parts) == "xxxxxxx" + whole + "yyyyyyyyy"
    assert any(whole in part for part in parts)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.integers(1, 40), st.sampled_from(["chars", "utf16", "bytes"]))
def test_parts_join_to_the_text_and_fit(text: str, most: int, unit: str) -> None:
    parts = texts_of(text, most, unit)
    size = {
        "chars": len,
        "utf16": lambda part: len(part.encode("utf-16-le", "surrogatepass")) // 2,
        "bytes": lambda part: len(part.encode("utf-8", "surrogatepass")),
    }[unit]
    assert "".join(parts) == text
    assert all(parts)
    assert all(size(part) <= most or len(part) == 1 for part in parts)
    assert parts == texts_of(text, most, unit)


# --- files and choices ------------------------------------------------------------------------------------------


def test_one_text_and_its_files_travel_together_where_the_channel_takes_files() -> None:
    first, second, third = plan_parts(
        message(text="Look", attachments=FILES), Capabilities(text_max=100, attachments_max=2)
    )
    assert (first.text, first.attachments) == ("Look", FILES[:2])
    assert (second.text, second.attachments) == ("", FILES[2:4])
    assert third.attachments == FILES[4:]


def test_files_of_a_channel_that_takes_none_come_one_by_one_behind_the_text() -> None:
    parts = plan_parts(message(text="Look", attachments=FILES[:2]), Capabilities(text_max=100))
    assert [(part.text, part.attachments) for part in parts] == [("Look", ()), ("", FILES[:1]), ("", FILES[1:2])]


def test_a_file_alone_is_one_part() -> None:
    only = message(attachments=FILES[:1])
    assert plan_parts(only, Capabilities(text_max=100, attachments_max=1)) == [only]


def test_choices_stand_on_the_last_text() -> None:
    parts = plan_parts(
        message(text="a" * 15, quick_replies=CHOICES, attachments=FILES[:1]),
        Capabilities(text_max=10, quick_replies_max=3, attachments_max=1),
    )
    assert [part.quick_replies for part in parts] == [(), CHOICES, ()]


def test_choices_that_the_channel_cannot_show_are_listed_in_the_text() -> None:
    for most in (0, 2):
        (part,) = plan_parts(
            message(text="Which?", quick_replies=CHOICES), Capabilities(text_max=None, quick_replies_max=most)
        )
        assert part.text == "Which?\n1. Choice 1\n2. Choice 2\n3. Choice 3"
        assert part.quick_replies == ()


def test_choices_of_structured_content_are_listed_once() -> None:
    """Its text lists them already."""
    rich = message(text="Which?\n1. Choice 1", quick_replies=CHOICES[:1], content={"type": "vertical"})
    (part,) = plan_parts(rich, Capabilities(text_max=None))
    assert (part.text, part.content) == ("Which?\n1. Choice 1", None)


def test_structured_content_goes_to_channels_that_take_it_once() -> None:
    rich = message(text="a" * 25, content={"type": "vertical"})
    parts = plan_parts(rich, Capabilities(text_max=10, structured_content=True))
    assert [part.content for part in parts] == [None, None, {"type": "vertical"}]


def test_parts_are_named_alike_each_time_and_unlike_those_of_other_messages() -> None:
    capabilities = Capabilities(text_max=10)
    ids = [part.id for part in plan_parts(message(text="a" * 35), capabilities)]
    assert ids == [part.id for part in plan_parts(message(text="a" * 35), capabilities)]
    assert ids[0] == "id-1"
    assert len(set(ids)) == 4
    assert not set(ids) & {part_id("id-2", number) for number in range(4)}
