import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.visible_text import parts, visible


@pytest.mark.parametrize(
    "text",
    [
        "Hello,\nAda\twrote",
        "👨‍👩‍👧 and ❤️‍🔥",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "می‌خواهم",
        "Straße naïve é",
        "línea\r\notra",
        "ภาษาไทย ค่ะ น้ำ",
    ],
    ids=["newlines", "joined emoji", "flag", "persian", "accents", "crlf", "thai"],
)
def test_ordinary_writing_stays_as_it_is(text):
    assert list(parts(text)) == [(text, "")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("invoice\u202egpj.exe", "invoice⟨RLO⟩gpj.exe"),
        ("a\u200bb", "a⟨ZWSP⟩b"),
        ("a\u200db", "a⟨ZWJ⟩b"),
        ("x\u200cy", "x⟨ZWNJ⟩y"),
        ("bell\x07", "bell⟨␇⟩"),
        ("\x1b[31mred", "⟨␛⟩[31mred"),
        ("a\rb", "a⟨CR⟩b"),
        ("line\u2028line", "line⟨LS⟩line"),
        ("\u3164", "⟨U+3164⟩"),
        ("\ue000", "⟨U+E000⟩"),
        ("a\U000e0041", "a⟨U+E0041⟩"),
    ],
)
def test_what_would_not_be_seen_becomes_a_mark(text, shown):
    assert visible(text) == shown


def test_a_heap_of_combining_marks_is_cut_to_one_mark():
    text = "e" + "\u0301" * 500 + "f"
    assert visible(text) == "e" + "\u0301" * 4 + "⟨+496⟩" + "f"


def test_a_mark_says_what_it_stands_for():
    assert list(parts("\u202e")) == [("RLO", "U+202E RIGHT-TO-LEFT OVERRIDE")]


@given(st.text())
def test_no_control_or_turning_character_gets_through(text):
    allowed = set("\n\t\r\u200c\u200d") | {chr(c) for c in range(0xE0020, 0xE0080)}
    for piece, name in parts(text):
        assert name or not [c for c in piece if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in allowed]
