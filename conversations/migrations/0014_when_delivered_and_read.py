from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0013_index_of_accepted'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='message',
            name='delivered_at',
            field=models.DateTimeField(blank=True, help_text='When the other side was known to have it.', null=True),
        ),
        migrations.AddField(
            model_name='message',
            name='read_at',
            field=models.DateTimeField(blank=True, help_text='When the other side was known to have read it.', null=True),
        ),
    ]
