from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0022_index_of_sleeping_lanes_by_brand'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='lane',
            index=models.Index(condition=models.Q(models.Q(('blocked_by', ''), _negated=True), ('due_at__isnull', False)), fields=['brand'], name='lane_put_off'),
        ),
    ]
