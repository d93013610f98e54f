import uuid

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0007_last_day'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='erasure',
            name='words_to',
            field=models.UUIDField(default=uuid.UUID('00000000-0000-0000-0000-000000000000'), help_text='The message up to which words and files have been removed.'),
        ),
    ]
