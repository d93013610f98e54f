from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The table is long: its index is built while everything runs.
    atomic = False

    dependencies = [
        ('webhooks', '0006_message_told_about'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='delivery',
            index=models.Index(condition=models.Q(('state__in', ['QUARANTINED', 'DEAD'])), fields=['brand', 'state', '-id'], name='delivery_troubled'),
        ),
    ]
