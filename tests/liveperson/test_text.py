"""Does a text fit, and where it is cut."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveperson.client import message_fits, split_text
from liveperson.text import MAX_REQUEST_LENGTH, request_object, text_event
from tests.liveperson.conftest import TOKENS, FakeLivePerson

IDS = {"conversation_id": "7a0c1f7e-0000-4000-8000-00000000beef", "dialog_id": "7a0c1f7e-0000-4000-8000-00000000beef"}
BUTTON = [{"type": "ExternalId", "id": "btn-42"}]
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
FLAG = "\U0001f1e9\U0001f1ea"


def units(text: str) -> int:
    """Length as Java and JavaScript count it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def request_length(text: str, metadata: list[dict[str, str]] | None = None) -> int:
    request = request_object(
        request_id="r" * 36, type="ms.PublishEvent", body=text_event(text=text, **IDS), metadata=metadata
    )
    return units(json.dumps(request, ensure_ascii=False, separators=(",", ":")))


def test_the_limit_counts_the_whole_request() -> None:
    assert message_fits(text="x" * 4500)
    assert not message_fits(text="x" * 4900)
    assert message_fits(text="x" * 4500, metadata=BUTTON)
    assert not message_fits(text="x" * 4500, metadata=[{"type": "ExternalId", "id": "x" * 300}])


@pytest.mark.parametrize("character", ["x", '"', "\\", "\n", "\x01", "é", "漢", "👋", "\u2028", "\x7f"])
def test_what_fits_is_within_the_limit_whatever_it_is_made_of(character: str) -> None:
    count = next(count for count in range(5000, 0, -1) if message_fits(text=character * count))
    assert 4000 < units(json.dumps(character * count, ensure_ascii=False)) <= MAX_REQUEST_LENGTH
    assert request_length(character * count) <= MAX_REQUEST_LENGTH


def test_what_is_really_sent_is_as_long_as_was_reckoned(liveperson: FakeLivePerson) -> None:
    liveperson.ok(sequence=0)
    part = split_text(text='"Grüße" 👋\n' * 1000, metadata=BUTTON)[0]
    liveperson.client.publish_text(tokens=TOKENS, request_id="r" * 64, text=part, metadata=BUTTON, **IDS)
    sent = liveperson.last.body.decode()
    assert 4800 < units(sent) <= MAX_REQUEST_LENGTH


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(" \n\u200d\u0301👋🏽" + FLAG)), max_size=200))
def test_parts_joined_are_the_text_again(seed: str) -> None:
    text = seed.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") * 60
    parts = split_text(text=text, metadata=BUTTON)
    assert all(message_fits(text=part, metadata=BUTTON) for part in parts)
    assert all(request_length(part, BUTTON) <= MAX_REQUEST_LENGTH for part in parts)
    if not any(run.isspace() for run in _long_runs(text)):
        assert "".join(parts) == text


def _long_runs(text: str) -> list[str]:
    return [text[start : start + 2000] for start in range(0, len(text), 100)] if text else []


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "n\u0303\u0323",
        FAMILY,
        FLAG,
        "👋🏽",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\u1100\u1161\u11a8",
        "\u0e01\u0e33",
        "\u0915\u094d\u0937\u093f",
        "\uff76\uff9e",
    ],
)
@pytest.mark.parametrize("offset", range(4))
def test_a_character_as_a_reader_sees_it_is_never_cut(cluster: str, offset: int) -> None:
    text = "x" * offset + cluster * 5000
    parts = split_text(text=text)
    assert len(parts) > 1
    assert "".join(parts) == text
    for part in parts[1:]:
        assert part.startswith(cluster)
    # Each part but the last is as full as it can be without cutting a cluster.
    assert all(not message_fits(text=part + cluster) for part in parts[:-1])


def test_a_line_end_of_two_characters_is_not_cut() -> None:
    for offset in range(3):
        text = "x" * offset + "y\r\n" * 5000
        parts = split_text(text=text)
        assert "".join(parts) == text
        assert not any(part.startswith("\n") for part in parts)


def test_a_text_is_cut_after_white_space() -> None:
    text = "".join(f"word{number} " for number in range(2000))
    parts = split_text(text=text)
    assert "".join(parts) == text
    assert all(part.endswith(" ") for part in parts)
    assert not any(part.startswith(" ") for part in parts)


def test_one_character_with_thousands_of_marks_is_cut_after_all() -> None:
    text = "e" + "\u0301" * 20_000
    parts = split_text(text=text)
    assert "".join(parts) == text
    assert all(message_fits(text=part) for part in parts)


@pytest.mark.parametrize(("text", "parts"), [("", []), ("hi", ["hi"]), (" ", [" "]), ("x" * 4500, ["x" * 4500])])
def test_a_text_that_fits_is_one_part(text: str, parts: list[str]) -> None:
    assert split_text(text=text) == parts


def test_parts_of_nothing_but_spaces_are_left_out() -> None:
    assert split_text(text="hi" + " " * 20_000 + "there")[0].startswith("hi")
    assert all(not part.isspace() for part in split_text(text="hi" + " " * 20_000 + "there"))


def test_halves_of_a_surrogate_pair_are_joined_before_cutting() -> None:
    parts = split_text(text="\ud83d\ude00" * 3000)
    assert "".join(parts) == "😀" * 3000
    assert all(unicodedata.category(part[0]) == "So" for part in parts)


def test_cutting_a_megabyte_takes_no_time_to_speak_of() -> None:
    assert len(split_text(text="word " * 200_000)) > 200
