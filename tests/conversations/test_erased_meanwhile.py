"""What people do to a consumer while somebody else erases them: it comes before, or finds nobody left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from audit.models import AuditEntry
from connector_site.subject_access import service as subject_access
from conversations.models import Consumer
from conversations.services.erasure import erase_consumer
from core.actor import COMMAND
from core.errors import ConfigurationError
from installations import pausing
from installations.models import Pause
from tests.factories import World, make_world

REASON = "Asked for by the person"


class Act(threading.Thread):
    """Does something over a database connection of its own."""

    def __init__(self, do: Callable[[], Any]) -> None:
        super().__init__()
        self.refusal: ConfigurationError | None = None
        self._do = do

    def run(self) -> None:
        try:
            self._do()
        except ConfigurationError as refusal:
            self.refusal = refusal
        finally:
            connection.close()

    def wait_until_it_waits(self) -> None:
        """Until it waits for a row, or has not had to."""
        ends_at_s = time.monotonic() + 10
        while self.is_alive() and time.monotonic() < ends_at_s:
            with connection.cursor() as cursor:
                cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.01)


def _pause(world: World) -> None:
    pausing.pause(Consumer.objects.get(pk=world.consumer.pk), actor=COMMAND, reason="Names the person")


def _export(world: World) -> None:
    subject_access.export(consumer_id=world.consumer.pk, actor=COMMAND, reason="Names the person")


@pytest.mark.parametrize("act", [_pause, _export])
def test_it_is_refused_and_what_it_says_of_the_person_stands_nowhere(
    transactional_db: None, act: Callable[[World], None]
) -> None:
    world = make_world(slug="amber", mark="amber")
    world.conversation.state = "CLOSED"
    world.conversation.save(update_fields=["state"])
    before = list(AuditEntry.objects.values_list("pk", flat=True))
    second = Act(lambda: act(world))

    with transaction.atomic():
        erase_consumer(consumer_id=world.consumer.pk, actor=COMMAND, reason=REASON)
        second.start()
        second.wait_until_it_waits()
    second.join()

    assert "erased" in str(second.refusal)
    assert not Pause.objects.filter(target_id=world.consumer.pk, ended_at=None).exists()
    assert [one.reason for one in AuditEntry.objects.exclude(pk__in=before) if one.reason] == [REASON]
