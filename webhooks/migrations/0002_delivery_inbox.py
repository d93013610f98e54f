from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside the running site: deliveries are stored meanwhile."""

    atomic = False

    dependencies = [
        ('webhooks', '0001_initial'),
    ]

    operations = [
        AddIndexConcurrently('delivery', models.Index(fields=['inbox', '-id'], name='delivery_inbox')),
    ]
