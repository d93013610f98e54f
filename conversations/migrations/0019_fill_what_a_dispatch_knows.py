import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

_ROWS = 5_000

# What somebody works on at this moment is passed over, and found the next time: who fills waits for nobody.
_FILL = """
    WITH unfilled AS (
        SELECT id FROM conversations_dispatch WHERE channel_id IS NULL AND id > %s
        ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    ), filled AS (
        UPDATE conversations_dispatch dispatch
        SET consumer_id = lane.consumer_id, direction = lane.direction,
            channel_id = COALESCE(message.channel_id, consumer.channel_id)
        FROM unfilled
        JOIN conversations_dispatch same ON same.id = unfilled.id
        JOIN conversations_lane lane ON lane.id = same.lane_id
        JOIN conversations_consumer consumer ON consumer.id = lane.consumer_id
        LEFT JOIN conversations_message message ON message.id = same.message_id
        WHERE dispatch.id = unfilled.id
    )
    SELECT max(id::text) FROM unfilled
"""
_FIRST = "00000000-0000-0000-0000-000000000000"


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        while True:
            after = _FIRST
            while after is not None:
                cursor.execute(_FILL, [after, _ROWS])
                (after,) = cursor.fetchone()
            cursor.execute("SELECT EXISTS (SELECT 1 FROM conversations_dispatch WHERE channel_id IS NULL)")
            if not cursor.fetchone()[0]:
                return


def _at_once(statement):
    """What waits for a lock makes everybody behind it wait too."""
    return f"BEGIN; SET LOCAL lock_timeout = '2s'; {statement}; COMMIT"


_COLUMNS = ('consumer_id', 'direction', 'channel_id')
_KNOWN = ' AND '.join(f'{column} IS NOT NULL' for column in _COLUMNS)
# Proved while everything runs; with the proof at hand, the columns are declared without another look at the rows.
_PROVE = [
    _at_once('ALTER TABLE conversations_dispatch DROP CONSTRAINT IF EXISTS dispatch_known'),
    _at_once(f'ALTER TABLE conversations_dispatch ADD CONSTRAINT dispatch_known CHECK ({_KNOWN}) NOT VALID'),
    'ALTER TABLE conversations_dispatch VALIDATE CONSTRAINT dispatch_known',
    _at_once(
        'ALTER TABLE conversations_dispatch '
        + ', '.join(f'ALTER COLUMN {column} SET NOT NULL' for column in _COLUMNS)
        + ', DROP CONSTRAINT dispatch_known'
    ),
]
_FORGET = [
    'ALTER TABLE conversations_dispatch ' + ', '.join(f'ALTER COLUMN {column} DROP NOT NULL' for column in _COLUMNS)
]


class Migration(migrations.Migration):

    # The table is long: it is filled and indexed while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0018_what_a_dispatch_knows'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_PROVE, _FORGET)],
            state_operations=[
                migrations.AlterField(
                    model_name='dispatch',
                    name='consumer',
                    field=models.ForeignKey(db_constraint=False, db_index=False, help_text="The lane's consumer.", on_delete=django.db.models.deletion.PROTECT, related_name='dispatches', to='conversations.consumer'),
                ),
                migrations.AlterField(
                    model_name='dispatch',
                    name='direction',
                    field=models.CharField(choices=[('TO_LIVEPERSON', 'To LivePerson'), ('TO_CHANNEL', 'To the channel')], help_text="The lane's direction.", max_length=16),
                ),
                migrations.AlterField(
                    model_name='dispatch',
                    name='channel',
                    field=models.ForeignKey(db_index=False, help_text="The channel it goes through: its message's, or else the one that the consumer had written on last.", on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
                ),
            ],
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(fields=['consumer', '-id'], name='dispatch_consumer'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(fields=['channel', '-id'], name='dispatch_channel'),
        ),
        RemoveIndexConcurrently(
            model_name='dispatch',
            name='dispatch_lane',
        ),
    ]
