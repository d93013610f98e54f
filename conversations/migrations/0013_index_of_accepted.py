from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0012_usage'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('message__isnull', False), ('state', 'SENT')), fields=['finished_at', 'id'], name='dispatch_accepted'),
        ),
    ]
