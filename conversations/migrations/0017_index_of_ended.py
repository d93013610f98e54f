from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs, and takes the place of the other one.
    atomic = False

    dependencies = [
        ('conversations', '0016_newest_first'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='dispatch',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at', 'id'], name='dispatch_ended'),
        ),
        RemoveIndexConcurrently(model_name='dispatch', name='dispatch_accepted'),
    ]
