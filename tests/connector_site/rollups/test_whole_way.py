"""What went through every part, over the simulator and a channel's server, is counted as its rows say."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from connector_site.models import Counting, Figure, Span
from connector_site.rollups import counting, series
from connector_site.rollups.series import Figures
from tests.connector_site.rollups.facts import asked_directly, count, counted
from tests.conversations.stand import Stand


def test_a_conversation_with_failures_is_counted_as_its_rows_say(stand: Stand) -> None:
    stand.says("Where is my parcel?")
    stand.says("Where is it?" * 10, consumer="+15550101")
    stand.settle()
    stand.agent("say", text="It leaves today.")
    stand.phone.default.status = 410
    stand.settle()
    count(now=timezone.now() + counting.BEHIND[Counting.SOON])  # in the middle of it
    stand.phone.default.status = 200
    stand.says("Thank you")
    stand.settle()
    later = timezone.now() + timedelta(hours=2)

    count(now=later)

    for span in (Span.HOUR, Span.DAY):
        assert counted(Counting.FINAL, span) == asked_directly(span, before=later - counting.BEHIND[Counting.FINAL])
    assert counted(Counting.SOON) == asked_directly()
    total: Figures = series.series_of_installation(stand.installation, asked=series.DAY, now=later).total
    assert total.total(Figure.MESSAGES_TO_LIVEPERSON) == 3
    assert total.total(Figure.MESSAGES_TO_CHANNEL) == 1
    assert total.total(Figure.SENT_TO_LIVEPERSON) >= 5
    assert total.by_label(Figure.FAILED_TO_CHANNEL) == {"consumer_gone": 1}
    assert total.total(Figure.THROUGH_TO_LIVEPERSON) == 3
    assert total.total(Figure.DELIVERIES_FROM_CHANNEL) == 3
    assert total.total(Figure.DELIVERIES_FROM_LIVEPERSON) > 3
