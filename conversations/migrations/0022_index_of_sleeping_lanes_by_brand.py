from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0021_blocks_and_tests'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lane',
            index=models.Index(condition=models.Q(('blocked_by__in', ('platform_paused', 'brand_paused', 'installation_paused', 'channel_paused', 'consumer_paused'))), fields=['brand'], name='lane_asleep_in_brand'),
        ),
    ]
