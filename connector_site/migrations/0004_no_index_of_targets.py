from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):

    # Nobody waits for it: workers go on writing these rows.
    atomic = False

    dependencies = [
        ('connector_site', '0003_bulk_jobs'),
    ]

    operations = [
        RemoveIndexConcurrently(
            model_name='bulkitem',
            name='bulk_item_target',
        ),
    ]
