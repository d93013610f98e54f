import core.ids
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0006_kept_answers'),
        ('connector_site', '0002_rollups'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # Foreign keys lock the tables that they point to for a moment: rather fail than keep others waiting.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='BulkJob',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier, ordered by time.', primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('RESEND', 'Send dispatches again'), ('DROP', 'Drop dispatches'), ('REPLAY', 'Apply deliveries again')], help_text='What is done to each row.', max_length=16)),
                ('state', models.CharField(choices=[('GATHERING', 'Looking for the rows'), ('READY', 'Preview'), ('WAITING', 'Waiting for a second person'), ('RUNNING', 'Running'), ('STOPPED', 'Stopped'), ('DONE', 'Done'), ('DISCARDED', 'Discarded')], default='GATHERING', help_text='Where it stands.', max_length=16)),
                ('reason', models.CharField(blank=True, help_text='Why, in the words of who asked.', max_length=300)),
                ('per_second', models.PositiveSmallIntegerField(default=10, help_text='Rows a second, at most.')),
                ('wanted', models.JSONField(default=dict, help_text='Which rows: brands, and where they were not ticked the filters and the span of time; never words.')),
                ('gathered_to', models.JSONField(default=dict, help_text='How far the look for its rows has come.')),
                ('looked_at', models.PositiveIntegerField(default=0, help_text='Rows looked at in search of those that match.')),
                ('is_cut', models.BooleanField(default=False, help_text='Whether more rows match than one job takes.')),
                ('stopped_because', models.CharField(blank=True, help_text='Why it stands still, where no person stopped it.', max_length=200)),
                ('total', models.PositiveIntegerField(default=0, help_text='Rows in it.')),
                ('oldest_at', models.DateTimeField(blank=True, help_text='When the oldest of its rows came into being.', null=True)),
                ('closed_count', models.PositiveIntegerField(default=0, help_text='Rows of closed conversations.')),
                ('doubtful_count', models.PositiveIntegerField(default=0, help_text='Rows that may then have arrived twice.')),
                ('impossible_count', models.PositiveIntegerField(default=0, help_text='Rows for which it was not possible when they were gathered.')),
                ('done_count', models.PositiveIntegerField(default=0, help_text='Rows for which it was done.')),
                ('settled_count', models.PositiveIntegerField(default=0, help_text='Rows that somebody had settled before.')),
                ('refused_count', models.PositiveIntegerField(default=0, help_text='Rows for which it was not possible.')),
                ('created_at', models.DateTimeField(auto_now_add=True, help_text='When it was asked for.')),
                ('started_at', models.DateTimeField(blank=True, help_text='When it was started first.', null=True)),
                ('finished_at', models.DateTimeField(blank=True, help_text='When it came to its end.', null=True)),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='When the turn of its next row comes.')),
                ('leased_until', models.DateTimeField(blank=True, help_text='Until when one worker has it to itself.', null=True)),
                ('fence', models.BigIntegerField(default=0, help_text='Counts claims; a worker that lost its lease does nothing.')),
                ('approved_by', models.ForeignKey(blank=True, db_index=False, help_text='The second person, where it needs one.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('asked_by', models.ForeignKey(db_index=False, help_text='Who asked for it.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('brand', models.ForeignKey(blank=True, db_index=False, help_text='The brand whose rows it touches; empty: of several, for people who work for all.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand')),
            ],
            options={
                'verbose_name': 'bulk job',
                'ordering': ('-id',),
            },
        ),
        migrations.CreateModel(
            name='BulkItem',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier.', primary_key=True, serialize=False)),
                ('target_id', models.UUIDField(help_text='The dispatch or delivery; ids grow with time.')),
                ('lane_id', models.UUIDField(help_text='The lane or inbox whose order it keeps.')),
                ('position', models.BigIntegerField(help_text='Its place there.')),
                ('state', models.CharField(choices=[('WAITING', 'Waiting'), ('DONE', 'Done'), ('SETTLED', 'Settled before'), ('REFUSED', 'Not possible')], default='WAITING', help_text='What became of it.', max_length=16)),
                ('detail', models.CharField(blank=True, help_text='Why it was not done.', max_length=300)),
                ('at', models.DateTimeField(blank=True, help_text='When that was.', null=True)),
                ('brand', models.ForeignKey(db_index=False, help_text='The brand of the row.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand')),
                ('job', models.ForeignKey(db_index=False, help_text='Its job.', on_delete=django.db.models.deletion.CASCADE, related_name='items', to='connector_site.bulkjob')),
            ],
            options={
                'verbose_name': 'row of a bulk job',
            },
        ),
        migrations.AddIndex(
            model_name='bulkjob',
            index=models.Index(fields=['brand', '-id'], name='bulk_job_brand'),
        ),
        migrations.AddIndex(
            model_name='bulkjob',
            index=models.Index(condition=models.Q(('state__in', ['GATHERING', 'RUNNING'])), fields=['next_at'], name='bulk_job_at_work'),
        ),
        migrations.AddIndex(
            model_name='bulkitem',
            index=models.Index(condition=models.Q(('state', 'WAITING')), fields=['job', 'lane_id', 'position'], name='bulk_item_lane'),
        ),
        migrations.AddIndex(
            model_name='bulkitem',
            index=models.Index(condition=models.Q(('state', 'WAITING')), fields=['job', 'target_id'], name='bulk_item_next'),
        ),
        migrations.AddIndex(
            model_name='bulkitem',
            index=models.Index(fields=['target_id'], name='bulk_item_target'),
        ),
        migrations.AddConstraint(
            model_name='bulkitem',
            constraint=models.UniqueConstraint(fields=('job', 'target_id'), name='bulk_item_once'),
        ),
    ]
