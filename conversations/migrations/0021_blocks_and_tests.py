from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0020_index_of_sleeping_lanes'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='consumer',
            name='block_reason',
            field=models.CharField(blank=True, db_default='', default='', help_text='Why the consumer is blocked.', max_length=500),
        ),
        migrations.AddField(
            model_name='consumer',
            name='blocked_at',
            field=models.DateTimeField(blank=True, help_text='Since when what the consumer writes is stored and not carried; empty: it is.', null=True),
        ),
        migrations.AddField(
            model_name='consumer',
            name='blocked_by',
            field=models.CharField(blank=True, db_default='', default='', help_text='Who blocked the consumer.', max_length=150),
        ),
        migrations.AddField(
            model_name='message',
            name='is_test',
            field=models.BooleanField(db_default=False, default=False, help_text='Whether an operator said it as the consumer, to try the way.'),
        ),
    ]
