from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0008_erasure_words_to'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='lane',
            name='held_at',
            field=models.DateTimeField(blank=True, help_text='Since when a restore keeps it from sending; empty: it is free.', null=True),
        ),
        migrations.AlterField(
            model_name='dispatch',
            name='resolution',
            field=models.CharField(blank=True, help_text='What settled it: answer, echo, report, policy, a person, an erasure; empty while open.', max_length=16),
        ),
    ]
