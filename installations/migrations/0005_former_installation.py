import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Additive: processes of the version before go on reading and writing this table."""

    dependencies = [
        ('installations', '0004_no_last_verified_at'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='channel',
            name='former_installation',
            field=models.ForeignKey(blank=True, help_text='The one before it, through which LivePerson may still tell what the present one was not told.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.appinstallation'),
        ),
        migrations.AddField(
            model_name='channel',
            name='moved_at',
            field=models.DateTimeField(blank=True, help_text='When the present one took over.', null=True),
        ),
    ]
