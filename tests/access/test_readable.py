"""Sentences of ours on a page: their times become the reader's own, what they quote stays a stranger's text."""

from __future__ import annotations

import pytest

from access.templatetags.readable import told


def test_a_time_in_a_sentence_is_one_that_the_page_shows_in_the_readers_zone() -> None:
    shown = told("It is paused since 2026-11-21 10:03:00 UTC: webhooks are stored.")
    assert shown == (
        'It is paused since <time class="cs-time" datetime="2026-11-21T10:03:00+00:00" title="2026-11-21 10:03:00 UTC" '
        'data-form="full">2026-11-21 10:03:00 UTC</time>: webhooks are stored.'
    )


@pytest.mark.parametrize("quoted", ["2026-99-21 10:03:00 UTC", "٢٠٢٦-11-21 10:03:00 UTC", "12026-11-21 10:03 UTCx"])
def test_what_only_looks_like_a_time_stays_as_it_was_written(quoted: str) -> None:
    assert "<time" not in told(f"Reason: {quoted}")


def test_what_a_sentence_quotes_is_escaped() -> None:
    assert "<b>" not in told("Reason: <b>2026-11-21 10:03:00 UTC</b>")
