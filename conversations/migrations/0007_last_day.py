from django.db import migrations, models


class Migration(migrations.Migration):
    """The index by the day alone has done its work: the one by day and row stands for it."""

    dependencies = [
        ('conversations', '0006_indexes_by_day'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='messagecontent',
            name='expires_on',
            field=models.DateField(help_text='The last day on which it is kept.'),
        ),
        migrations.AlterField(
            model_name='mediafile',
            name='expires_on',
            field=models.DateField(help_text='The last day on which it is kept.'),
        ),
    ]
