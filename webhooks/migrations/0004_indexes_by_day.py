from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # These tables are long: their indexes are built while everything runs.
    atomic = False

    dependencies = [
        ('webhooks', '0003_held'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='deliverybody',
            index=models.Index(fields=['expires_on', 'delivery'], name='body_by_day'),
        ),
    ]
