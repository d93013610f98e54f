import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # These tables are long: their indexes are built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0014_when_delivered_and_read'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='message',
            index=models.Index(condition=models.Q(('correlation_id', ''), _negated=True), fields=['correlation_id'], name='message_correlation'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('kind', 'RECEIPT')), fields=['conversation', 'id'], name='dispatch_receipt'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('message__isnull', True), models.Q(('correlation_id', ''), _negated=True)), fields=['correlation_id'], name='dispatch_correlation'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=django.contrib.postgres.indexes.GinIndex(condition=models.Q(('provider_ids', []), _negated=True), fields=['provider_ids'], name='dispatch_provider_ids', opclasses=['jsonb_path_ops']),
        ),
    ]
