"""After a restore nothing of the backup may still wait to be applied: what it makes would be sent once workers run."""

from __future__ import annotations

from django.utils import timezone

from tests.conversations.notifications import said
from tests.conversations.stand import Door, known_conversation
from tests.webhooks.test_gaps import bring, learned, sent
from tests.webhooks.work import apply_all
from webhooks import waiting
from webhooks.models import Event, EventOutcome, Held

C = "c-1"


def test_all_that_waits_is_decided_whatever_its_time(door: Door) -> None:
    known_conversation(door, lp_id=C, lp_consumer_id="consumer-1")
    bring(door, 0)
    learned(wait_s=180)
    bring(door, 3, 5)
    door.notify(said("of-nobody", 1, "Not known yet"))
    apply_all()
    assert Held.objects.count() == 2
    assert Event.objects.filter(outcome=EventOutcome.WAITING).count() == 1
    assert sent() == [0]

    waiting.end_all(now=timezone.now())
    assert sent() == [0, 3, 5]
    assert not waiting.has_waiting()
    assert Event.objects.get(lp_conversation_id="of-nobody").outcome == EventOutcome.FOREIGN
