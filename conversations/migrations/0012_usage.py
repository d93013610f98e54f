import core.ids
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0003_retention_days'),
        ('conversations', '0011_no_last_message_at'),
        ('installations', '0005_former_installation'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='RemovedFile',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier, ordered by time.', primary_key=True, serialize=False)),
                ('size', models.PositiveIntegerField(help_text='Bytes.')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='UsageConsumer',
            fields=[
                ('id', models.BigAutoField(help_text='Row number.', primary_key=True, serialize=False)),
                ('reckoning', models.CharField(choices=[('SOON', 'Soon'), ('FINAL', 'Final')], help_text='By which of the two counts.', max_length=8)),
                ('month', models.DateField(help_text='The first day of the month.')),
            ],
        ),
        migrations.CreateModel(
            name='UsageCount',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier, ordered by time.', primary_key=True, serialize=False)),
                ('reckoning', models.CharField(choices=[('SOON', 'Soon'), ('FINAL', 'Final')], help_text='Which of the two counts.', max_length=8)),
                ('month', models.DateField(help_text='The first day of the month.')),
                ('messages_to_liveperson', models.BigIntegerField(db_default=0, default=0, help_text='Messages of consumers that were stored.')),
                ('messages_to_channel', models.BigIntegerField(db_default=0, default=0, help_text='Messages for consumers that were stored; private notes are not among them.')),
                ('private_notes', models.BigIntegerField(db_default=0, default=0, help_text='Notes among agents, which are never carried to a consumer.')),
                ('segments_to_liveperson', models.BigIntegerField(db_default=0, default=0, help_text='Sends for a message that LivePerson accepted, in the month of accepting.')),
                ('segments_to_channel', models.BigIntegerField(db_default=0, default=0, help_text='Sends for a message that the channel accepted, in the month of accepting.')),
                ('media_files', models.BigIntegerField(db_default=0, default=0, help_text='Files that were carried.')),
                ('media_bytes', models.BigIntegerField(db_default=0, default=0, help_text='Bytes of these files.')),
                ('conversations_opened', models.BigIntegerField(db_default=0, default=0, help_text='Conversations that were opened at LivePerson.')),
                ('consumers', models.BigIntegerField(db_default=0, default=0, help_text='Different consumers with at least one message.')),
            ],
            options={
                'ordering': ('-month', 'brand', 'channel'),
            },
        ),
        migrations.CreateModel(
            name='UsageStorage',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier, ordered by time.', primary_key=True, serialize=False)),
                ('month', models.DateField(help_text='The first day of the month in which the walk began.')),
                ('measured_at', models.DateTimeField(blank=True, help_text='When the walk came to its end; empty: it is under way.', null=True)),
                ('content_bytes', models.BigIntegerField(db_default=0, default=0, help_text='Bytes of what messages say.')),
                ('file_bytes', models.BigIntegerField(db_default=0, default=0, help_text='Bytes of files.')),
                ('body_bytes', models.BigIntegerField(db_default=0, default=0, help_text="Bytes of deliveries' bodies.")),
            ],
            options={
                'verbose_name_plural': 'usage of storage',
            },
        ),
        migrations.CreateModel(
            name='UsageWalk',
            fields=[
                ('name', models.CharField(help_text='Which count, of which rows.', max_length=64, primary_key=True, serialize=False)),
                ('place', models.JSONField(help_text='The last row that was counted; empty: none yet.', null=True)),
                ('counted_to', models.DateTimeField(blank=True, help_text='Everything that happened before this moment is counted.', null=True)),
                ('month', models.DateField(blank=True, help_text='Of a walk through the storage: the month it began in.', null=True)),
            ],
        ),
        migrations.AddField(
            model_name='removedfile',
            name='brand',
            field=models.ForeignKey(help_text='The brand that this belongs to.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand'),
        ),
        migrations.AddField(
            model_name='removedfile',
            name='channel',
            field=models.ForeignKey(help_text='The channel.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
        ),
        migrations.AddField(
            model_name='usageconsumer',
            name='channel',
            field=models.ForeignKey(help_text='The channel.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
        ),
        migrations.AddField(
            model_name='usageconsumer',
            name='consumer',
            field=models.ForeignKey(help_text='The consumer.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='conversations.consumer'),
        ),
        migrations.AddField(
            model_name='usagecount',
            name='brand',
            field=models.ForeignKey(help_text='The brand that this belongs to.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand'),
        ),
        migrations.AddField(
            model_name='usagecount',
            name='channel',
            field=models.ForeignKey(help_text='The channel.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
        ),
        migrations.AddField(
            model_name='usagestorage',
            name='brand',
            field=models.ForeignKey(help_text='The brand that this belongs to.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand'),
        ),
        migrations.AddField(
            model_name='usagestorage',
            name='channel',
            field=models.ForeignKey(blank=True, help_text='The channel; empty: what LivePerson sent to an app installation, which several channels may use.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
        ),
        migrations.AddConstraint(
            model_name='usageconsumer',
            constraint=models.UniqueConstraint(fields=('month', 'reckoning', 'channel', 'consumer'), name='usage_consumer_once_per_month'),
        ),
        migrations.AddConstraint(
            model_name='usagecount',
            constraint=models.UniqueConstraint(fields=('reckoning', 'month', 'brand', 'channel'), name='usage_once_per_month'),
        ),
        migrations.AddConstraint(
            model_name='usagestorage',
            constraint=models.UniqueConstraint(condition=models.Q(('measured_at__isnull', True)), fields=('month', 'brand', 'channel'), name='storage_once_under_way', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='usagestorage',
            constraint=models.UniqueConstraint(condition=models.Q(('measured_at__isnull', False)), fields=('month', 'brand', 'channel'), name='storage_once_per_month', nulls_distinct=False),
        ),
    ]
