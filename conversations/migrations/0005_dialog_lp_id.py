from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built while everything runs."""

    atomic = False

    dependencies = [
        ('conversations', '0004_sequences'),
    ]

    operations = [
        AddIndexConcurrently('dialog', models.Index(fields=['lp_dialog_id'], name='dialog_lp_id')),
    ]
