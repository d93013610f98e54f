"""A dispatch says itself whose it is, which way it goes and through which channel: in old rows, too."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.db.utils import IntegrityError

from conversations.models import Dispatch
from core.ids import new_id
from installations.models import Channel
from tests.factories import World, make_world


@pytest.fixture
def amber(db: None) -> World:
    return make_world(slug="amber", mark="Amber")


# As the version before writes it, which goes on for a moment after the columns were added.
_QUEUED_BY_THE_VERSION_BEFORE = """
    INSERT INTO conversations_dispatch (
        id, brand_id, lane_id, position, kind, state, message_id, lp_dialog_id, payload, progress, step, attempt_count,
        provider_ids, error_code, error_detail, resolution, possible_duplicate, created_at, correlation_id)
    SELECT %s, brand_id, lane_id, position + 1, kind, 'QUEUED', %s, '', '{}', '{}', '', 0, '[]', '', '', '', false,
           now(), ''
    FROM conversations_dispatch WHERE id = %s
"""


def queue_as_before(like: Dispatch, *, message_id: object) -> Dispatch:
    made = new_id()
    with connection.cursor() as cursor:
        cursor.execute(_QUEUED_BY_THE_VERSION_BEFORE, [made, message_id, like.pk])
    return Dispatch.objects.get(pk=made)


def moved(world: World) -> Channel:
    """The consumer has written on another channel since."""
    other = Channel.objects.get(pk=world.channel.pk)
    other.pk, other.name, other.prefix = new_id(), "another", "another"
    other.save(force_insert=True)
    world.consumer.channel = other
    world.consumer.save()
    return other


def test_what_the_version_before_queues_for_a_message_goes_through_its_channel(amber: World) -> None:
    moved(amber)
    queued = queue_as_before(amber.dead, message_id=amber.dead.message_id)
    assert (queued.consumer_id, queued.direction, queued.channel_id) == (
        amber.consumer.pk,
        amber.dead.lane.direction,
        amber.channel.pk,
    )


def test_what_the_version_before_queues_for_no_message_goes_through_the_channel_last_written_on(amber: World) -> None:
    other = moved(amber)
    assert queue_as_before(amber.dead, message_id=None).channel_id == other.pk


def test_rows_that_stood_there_before_are_filled(amber: World) -> None:
    facts = ("pk", "consumer_id", "direction", "channel_id")
    expected = set(Dispatch.objects.values_list(*facts))
    with connection.cursor() as cursor, connection.schema_editor() as editor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE conversations_dispatch ALTER consumer_id DROP NOT NULL, ALTER direction DROP NOT NULL,"
            " ALTER channel_id DROP NOT NULL"
        )
        cursor.execute("UPDATE conversations_dispatch SET consumer_id = NULL, direction = NULL, channel_id = NULL")
        import_module("conversations.migrations.0019_fill_what_a_dispatch_knows").fill(apps, editor)
    assert set(Dispatch.objects.values_list(*facts)) == expected


def test_a_dispatch_without_them_is_refused(amber: World) -> None:
    with pytest.raises(IntegrityError):
        Dispatch.objects.filter(pk=amber.dead.pk).update(channel_id=None)
