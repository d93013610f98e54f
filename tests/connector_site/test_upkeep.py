"""What a worker does beside the sweep: all of it, in the end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from connector_site import upkeep
from connector_site.bulk.models import BulkJob
from conversations.models import Erasure, MessageContent, UsageWalk
from tests.connector_site.bulk.rows import preview
from tests.factories import make_two_brands


@pytest.mark.django_db
def test_workers_erase_remove_what_is_too_old_and_count():
    world, _ = make_two_brands()
    UsageWalk.objects.all().delete()
    yesterday = timezone.now().date() - timedelta(days=1)
    MessageContent.objects.filter(pk=world.from_agent.pk).update(expires_on=yesterday)
    old = BulkJob.objects.filter(pk=preview("DROP", [world.dead], world.operator).pk)
    old.update(created_at=timezone.now() - timedelta(days=2))
    assert Erasure.objects.filter(ended_at=None).exists()

    beside = upkeep.walkers()
    for _ in range(20):
        for one in beside:
            one.work()

    assert not Erasure.objects.filter(ended_at=None).exists()
    assert not MessageContent.objects.filter(pk=world.from_agent.pk).exists()
    assert not old.exists()
    counted = set(UsageWalk.objects.filter(counted_to__isnull=False).values_list("pk", flat=True))
    assert {"SOON.messages", "rollup.SOON.messages"} <= counted
