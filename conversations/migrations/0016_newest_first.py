import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# What every foreign key gets by itself: table, column, and the name that Django gives to it.
_OWN_INDEXES = [
    ('conversations_attempt', 'brand_id', 'conversations_attempt_brand_id_a331f9c0'),
    ('conversations_attempt', 'dispatch_id', 'conversations_attempt_dispatch_id_0315f289'),
    ('conversations_consumer', 'account_id', 'conversations_consumer_account_id_2884ed11'),
    ('conversations_consumer', 'channel_id', 'conversations_consumer_channel_id_7c1dcd0f'),
    ('conversations_conversation', 'account_id', 'conversations_conversation_account_id_140c2573'),
    ('conversations_conversation', 'channel_id', 'conversations_conversation_channel_id_c75ad9c1'),
    ('conversations_conversation', 'consumer_id', 'conversations_conversation_consumer_id_ebf055ea'),
    ('conversations_dispatch', 'conversation_id', 'conversations_dispatch_conversation_id_0f4630e7'),
    ('conversations_dispatch', 'lane_id', 'conversations_dispatch_lane_id_974092ae'),
    ('conversations_message', 'channel_id', 'conversations_message_channel_id_9f8b2eeb'),
    ('conversations_message', 'consumer_id', 'conversations_message_consumer_id_8a26e319'),
    ('conversations_message', 'conversation_id', 'conversations_message_conversation_id_f1a2d5e9'),
]


def _without_own_index(*fields):
    """Django would make the foreign keys anew, and check every row while the tables are locked."""
    return migrations.SeparateDatabaseAndState(
        state_operations=fields,
        database_operations=[
            migrations.RunSQL(
                f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"',
                f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{name}" ON "{table}" ("{column}")',
            )
            for table, column, name in _OWN_INDEXES
        ],
    )


class Migration(migrations.Migration):

    # These tables are long: their indexes are built while everything runs. Those that begin with the same column then
    # go, so that a row costs no more to write than before.
    atomic = False

    dependencies = [
        ('access', '0005_keys_of_tokens'),
        ('conversations', '0015_indexes_for_finding'),
        ('installations', '0005_former_installation'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='attempt',
            index=models.Index(fields=['brand', '-id'], name='attempt_brand'),
        ),
        AddIndexConcurrently(
            model_name='consumer',
            index=models.Index(fields=['brand', '-id'], name='consumer_brand'),
        ),
        AddIndexConcurrently(
            model_name='consumer',
            index=models.Index(fields=['account', '-id'], name='consumer_account'),
        ),
        AddIndexConcurrently(
            model_name='consumer',
            index=models.Index(fields=['channel', '-id'], name='consumer_channel'),
        ),
        AddIndexConcurrently(
            model_name='conversation',
            index=models.Index(fields=['account', '-id'], name='conversation_account'),
        ),
        AddIndexConcurrently(
            model_name='conversation',
            index=models.Index(fields=['channel', '-id'], name='conversation_channel'),
        ),
        AddIndexConcurrently(
            model_name='conversation',
            index=models.Index(fields=['consumer', '-id'], name='conversation_consumer'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(fields=['lane', '-id'], name='dispatch_lane'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(fields=['conversation', '-id'], name='dispatch_conversation'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(fields=['channel', '-id'], name='message_channel'),
        ),
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(fields=['consumer', '-id'], name='message_consumer'),
        ),
        _without_own_index(
            migrations.AlterField(
                model_name='attempt',
                name='brand',
                field=models.ForeignKey(db_index=False, help_text='The brand that this belongs to.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand'),
            ),
            migrations.AlterField(
                model_name='attempt',
                name='dispatch',
                field=models.ForeignKey(db_index=False, help_text='What it tried.', on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='conversations.dispatch'),
            ),
            migrations.AlterField(
                model_name='consumer',
                name='account',
                field=models.ForeignKey(db_index=False, help_text='The LivePerson account.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.account'),
            ),
            migrations.AlterField(
                model_name='consumer',
                name='channel',
                field=models.ForeignKey(db_index=False, help_text='The channel last written on.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
            ),
            migrations.AlterField(
                model_name='conversation',
                name='account',
                field=models.ForeignKey(db_index=False, help_text='The LivePerson account.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.account'),
            ),
            migrations.AlterField(
                model_name='conversation',
                name='channel',
                field=models.ForeignKey(db_index=False, help_text='The channel that owns it.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
            ),
            migrations.AlterField(
                model_name='conversation',
                name='consumer',
                field=models.ForeignKey(db_index=False, help_text='Whose conversation it is.', on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='conversations.consumer'),
            ),
            migrations.AlterField(
                model_name='dispatch',
                name='conversation',
                field=models.ForeignKey(blank=True, db_index=False, help_text='The conversation it was sent in, or must be sent in.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='dispatches', to='conversations.conversation'),
            ),
            migrations.AlterField(
                model_name='dispatch',
                name='lane',
                field=models.ForeignKey(db_index=False, help_text='Its lane.', on_delete=django.db.models.deletion.PROTECT, related_name='dispatches', to='conversations.lane'),
            ),
            migrations.AlterField(
                model_name='message',
                name='channel',
                field=models.ForeignKey(db_index=False, help_text='The channel.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
            ),
            migrations.AlterField(
                model_name='message',
                name='consumer',
                field=models.ForeignKey(db_index=False, help_text='The consumer in the conversation.', on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='conversations.consumer'),
            ),
            migrations.AlterField(
                model_name='message',
                name='conversation',
                field=models.ForeignKey(blank=True, db_index=False, help_text='The conversation; empty until LivePerson has opened one for it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='conversations.conversation'),
            ),
        ),
    ]
