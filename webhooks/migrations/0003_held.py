import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Additive: processes of the version before go on reading and writing these tables."""

    dependencies = [
        ('conversations', '0004_sequences'),
        ('webhooks', '0002_delivery_inbox'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            'inbox',
            'gap_filled_at',
            models.DateTimeField(blank=True, help_text='When something that was missing in a dialog last came after all.', null=True),
        ),
        migrations.AddField(
            'inbox',
            'gap_wait_s',
            models.PositiveSmallIntegerField(db_default=5, default=5, help_text='How long to wait for what is missing, while waiting is of use.'),
        ),
        migrations.AddField(
            'inbox',
            'gaps_given_up',
            models.PositiveIntegerField(db_default=0, default=0, help_text='How many waits since then were in vain.'),
        ),
        migrations.AlterField(
            'event',
            'outcome',
            models.CharField(choices=[('APPLIED', 'Applied'), ('DUPLICATE', 'Seen before'), ('CONFLICT', 'Seen before with other content'), ('ECHO', 'Our own message, come back'), ('STALE', 'Older than what is known'), ('IGNORED', 'Of no use to us'), ('WAITING', 'Waiting to see whether it is ours'), ('HELD', 'Waiting for what was said before it'), ('FOREIGN', 'Not ours'), ('UNKNOWN_TYPE', 'Of a type that we do not know'), ('UNREADABLE', 'Cannot be read')], help_text='What it did.', max_length=16),
        ),
        migrations.CreateModel(
            name='Held',
            fields=[
                ('event', models.OneToOneField(help_text='The event.', on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='held', serialize=False, to='webhooks.event')),
                ('lp_dialog_id', models.CharField(help_text="LivePerson's id of its dialog.", max_length=256)),
                ('sequence', models.IntegerField(help_text='Its sequence there.')),
                ('since', models.DateTimeField(help_text='Since when it waits.')),
                ('due_at', models.DateTimeField(db_index=True, help_text='Until when it waits at most.')),
                ('conversation', models.ForeignKey(help_text='Its conversation.', on_delete=django.db.models.deletion.CASCADE, related_name='+', to='conversations.conversation')),
            ],
            options={
                'verbose_name_plural': 'held events',
                'indexes': [models.Index(fields=['conversation', 'lp_dialog_id', 'sequence'], name='held_in_dialog')],
            },
        ),
    ]
