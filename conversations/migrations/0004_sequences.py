from django.db import migrations, models


class Migration(migrations.Migration):
    """Additive: processes of the version before go on reading and writing these tables."""

    dependencies = [
        ('conversations', '0003_indexes_for_retention'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        # In two steps: what is there already begins with the highest sequence seen, what comes now with none.
        migrations.AddField('dialog', 'complete_to', models.IntegerField(null=True, blank=True)),
        migrations.AlterField(
            'dialog',
            'complete_to',
            models.IntegerField(blank=True, db_default=-1, help_text='Up to here every sequence has come or was given up; empty: as the highest one seen.', null=True),
        ),
        migrations.AddField(
            'dialog',
            'ahead',
            models.JSONField(blank=True, db_default=[], default=list, help_text='Sequences that came beyond that.'),
        ),
        migrations.AddField(
            'dialog',
            'missing',
            models.JSONField(blank=True, db_default={}, default=dict, help_text='Sequences that were given up, each with the moment in milliseconds.'),
        ),
        migrations.AddField(
            'message',
            'order_mark',
            models.CharField(blank=True, choices=[('AFTER_GAP', 'Something said before it has not come'), ('LATE', 'Came after what was said later')], db_default='', default='', help_text='Whether it came in its order; empty: it did.', max_length=16),
        ),
    ]
