from django.db import migrations, models

_FIELD = {
    'blank': True,
    'choices': [('CREDENTIALS_REJECTED', 'Credentials rejected')],
    'db_default': '',
    'default': '',
    'help_text': 'What paused it by itself; empty where a person did.',
    'max_length': 32,
}
_WORDS = 'credentials rejected'


def tell_by_code(apps, schema_editor):
    """Until now the beginning of the text said it. Only rows that are paused at this moment are read and written."""
    for name in ('AppInstallation', 'Channel'):
        model = apps.get_model('installations', name)
        for row in model.objects.filter(state='PAUSED', state_reason__startswith=_WORDS):
            row.paused_for = 'CREDENTIALS_REJECTED'
            row.state_reason = row.state_reason.removeprefix(_WORDS).strip(' :')
            row.save(update_fields=['paused_for', 'state_reason'])


def tell_by_words(apps, schema_editor):
    for name in ('AppInstallation', 'Channel'):
        model = apps.get_model('installations', name)
        for row in model.objects.filter(state='PAUSED', paused_for='CREDENTIALS_REJECTED'):
            row.state_reason = f'{_WORDS}: {row.state_reason}'[:300]
            row.save(update_fields=['state_reason'])


class Migration(migrations.Migration):
    """Additive: processes of the version before go on reading and writing these tables."""

    dependencies = [
        ('installations', '0001_initial'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField('appinstallation', 'paused_for', models.CharField(**_FIELD)),
        migrations.AddField('channel', 'paused_for', models.CharField(**_FIELD)),
        migrations.AlterField(
            'appinstallation',
            'state_reason',
            models.CharField(blank=True, help_text='Why it is paused or disabled, in words for people.', max_length=300),
        ),
        migrations.AlterField(
            'channel',
            'state_reason',
            models.CharField(blank=True, help_text='Why it is paused or disabled, in words for people.', max_length=300),
        ),
        migrations.RunPython(tell_by_code, tell_by_words),
    ]
