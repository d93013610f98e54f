from django.db import migrations, models


class Migration(migrations.Migration):
    """Additive: processes of the version before go on reading and writing this table."""

    dependencies = [
        ('installations', '0006_pauses'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='appinstallation',
            name='manifest_compared_at',
            field=models.DateTimeField(blank=True, help_text='When the manifest that LivePerson has was last compared with the needed one.', null=True),
        ),
        migrations.AddField(
            model_name='appinstallation',
            name='manifest_differences',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='What it lacked then: sentences, and whether each stops the connector.'),
        ),
    ]
