from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # These tables are long: their indexes are built while everything runs.
    atomic = False

    dependencies = [
        ('conversations', '0005_dialog_lp_id'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='messagecontent',
            index=models.Index(fields=['expires_on', 'message'], name='content_by_day'),
        ),
        AddIndexConcurrently(
            model_name='mediafile',
            index=models.Index(fields=['expires_on', 'id'], name='media_by_day'),
        ),
    ]
