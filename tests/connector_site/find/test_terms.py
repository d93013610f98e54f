"""What is typed: a phone number is understood however people write it; what can be no id is refused with a sentence."""

from __future__ import annotations

import pytest

from connector_site.find.terms import BadTerm, read_term


@pytest.mark.parametrize(
    "typed",
    [
        "+4930123456",
        "4930123456",
        "004930123456",
        "+49 30 123456",
        "+49 (30) 123-456",
        "(+49) 30 123456",
        "+49 (0) 30 / 12 34 56",
        "0049-30-12.34.56",
        "  +49\u00a030\u202f123456\n",
        "\u202a+49 30 123456\u202c",
        "+49\u201130\u2013123456",
        "＋４９ ３０ １２３４５６",
        "sms:+4930123456",
        "whatsapp:+49 30 123456",
        "tel:4930123456",
    ],
)
def test_a_phone_number_is_looked_for_in_every_form_that_a_channel_may_have_told(typed):
    assert {"+4930123456", "4930123456", "004930123456"} <= set(read_term(typed).person)


@pytest.mark.parametrize("typed", ["U4af4980629", "ada@example.com", "1+1+1", "12/3", "viber-77aa", "+", "()"])
def test_what_is_no_phone_number_is_looked_for_as_it_stands(typed):
    assert read_term(typed).person == (typed,)


def test_a_prefix_is_looked_for_with_and_without():
    assert read_term("line: Uabc").person == ("line: Uabc", "Uabc")
    assert read_term("https://x.example/a").person[0] == "https://x.example/a"


def test_there_are_few_forms_of_anything():
    for typed in ("sms:+49 (0) 30 123456", "0 0 0 0 0 0 0 0", "9" * 18, "a:b:c:d", "(0)" * 60):
        assert len(read_term(typed).person) <= 16


def test_an_id_of_ours_is_understood_however_it_is_written():
    plain = read_term("01900000-0000-7000-8000-00000000000A")
    assert str(plain.own_id) == "01900000-0000-7000-8000-00000000000a"
    assert plain.ids == ("01900000-0000-7000-8000-00000000000A", "01900000-0000-7000-8000-00000000000a")
    assert read_term("urn:uuid:01900000-0000-7000-8000-00000000000a").own_id == plain.own_id


@pytest.mark.parametrize(
    "typed",
    ["", "   \t\n", "x" * 301, "x" * 10_240, "a\x00b", "\x00", "a\ud800b", "\x1b[31m", None, 7, True, [], {}, 1e400],
)
def test_what_can_be_no_id_is_refused_with_a_sentence(typed):
    with pytest.raises(BadTerm) as refusal:
        read_term(typed)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 100
