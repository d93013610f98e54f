"""How a person's ids are found in a body, however the sender wrote them down."""

from __future__ import annotations

import pytest

from conversations.services.erasure import Traces
from webhooks import tracing


def needles(*person: str, conversations: tuple[str, ...] = ()) -> tracing.Needles:
    return tracing.Needles(Traces(person=person, conversations=conversations))


@pytest.mark.parametrize(
    ("one", "raw"),
    [
        ("+15550100", b'{"id": "+15550100"}'),
        ("+15550100", b'{"id": "\\u002b15550100"}'),
        ("+15550100", b'{"id": "\\u002B15550100"}'),
        ("+15550100", b"From=%2B15550100&Body=x"),
        ("+15550100", b"From=%2b15550100&Body=x"),
        ("+15550100", b"{broken +15550100"),
        ("+15550100", b'{"from": "whatsapp:+15550100"}'),
        ("J\u00f6rg/7", '{"id": "J\u00f6rg/7"}'.encode()),
        ("J\u00f6rg/7", b'{"id": "J\\u00f6rg\\/7"}'),
        ('a"b\\c-long', b'{"id": "a\\"b\\\\c-long"}'),
        ("two words", b"id=two+words"),
        ("7", b'{"id": "7"}'),
        ("7", b"id=7&text=x"),
    ],
)
def test_an_id_is_found_however_it_is_written(one: str, raw: bytes) -> None:
    looked_for = needles(one)
    assert any(form in raw for form in looked_for.as_bytes)
    assert looked_for.any_in(*tracing.readings_of(raw))


@pytest.mark.parametrize(
    ("one", "raw"),
    [
        ("+15550100", b'{"id": "+155501001"}'),
        ("15550100", b'{"id": "+15550100"}'),
        ("7", b'{"id": "17", "sequence": 7}'),
        ("7", b"id=17&other=77"),
    ],
)
def test_a_part_of_another_id_is_another_id(one: str, raw: bytes) -> None:
    assert not needles(one).any_in(*tracing.readings_of(raw))
