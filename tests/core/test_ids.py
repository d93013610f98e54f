"""Ids carry the time at which they were made; ranges of ids are ranges of time."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.ids import first_id_at, made_at, new_id

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(9999, 12, 31),
    timezones=st.just(UTC),
)


def test_an_id_tells_when_it_was_made():
    before = datetime.now(UTC)
    made = made_at(new_id())
    assert made is not None
    assert before - timedelta(milliseconds=1) <= made <= datetime.now(UTC)


def test_an_id_of_another_kind_tells_nothing():
    assert made_at(uuid.uuid4()) is None
    assert made_at(uuid.UUID(int=0)) is None
    assert made_at(uuid.UUID(int=2**128 - 1)) is None


def test_an_id_lies_between_the_bounds_of_its_moment():
    row_id = new_id()
    made = made_at(row_id)
    assert made is not None
    assert first_id_at(made) <= row_id < first_id_at(made + timedelta(milliseconds=1))


@given(moments, moments)
def test_bounds_are_in_the_order_of_their_moments(one, other):
    if one <= other:
        assert first_id_at(one) <= first_id_at(other)
    else:
        assert first_id_at(one) >= first_id_at(other)


@given(moments)
def test_a_bound_never_lies_before_its_moment(moment):
    milliseconds = first_id_at(moment).int >> 80
    bound = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert moment <= bound < moment + timedelta(milliseconds=1)


def test_moments_before_the_first_id_are_bounded_by_it():
    assert first_id_at(datetime(1, 1, 1, tzinfo=UTC)) == uuid.UUID(int=0)
