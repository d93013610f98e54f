from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # These tables are long: their indexes are built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0002_retention_and_erasure'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='attempt',
            index=models.Index(condition=models.Q(('answer_head', ''), _negated=True), fields=['brand', 'id'], name='attempt_with_answer'),
        ),
        AddIndexConcurrently(
            model_name='consumer',
            index=models.Index(condition=models.Q(('held_at__isnull', False)), fields=['brand'], name='consumer_held'),
        ),
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('payload__has_key', 'metadata')), fields=['brand', 'id'], name='dispatch_with_metadata'),
        ),
    ]
