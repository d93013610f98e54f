from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0009_lane_held_at'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lane',
            index=models.Index(condition=models.Q(('held_at__isnull', False)), fields=['brand', 'account'], name='lane_held'),
        ),
    ]
