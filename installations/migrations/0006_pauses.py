import core.ids
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


def make_rows(apps, schema_editor):
    """Whatever is paused when this runs has a row from now on. Who paused it is known by the trail."""
    entry = apps.get_model('audit', 'AuditEntry')
    pause = apps.get_model('installations', 'Pause')
    for scope, name in (('INSTALLATION', 'AppInstallation'), ('CHANNEL', 'Channel')):
        noun = scope.lower()
        for row in apps.get_model('installations', name).objects.filter(state='PAUSED'):
            acts = entry.objects.filter(
                subject_type=name.lower(),
                subject_id=str(row.pk),
                action__in=[f'{noun}.paused', f'{noun}.credentials_rejected'],
            )
            act = acts.order_by('-id').first()
            pause.objects.create(
                brand_id=row.brand_id,
                scope=scope,
                target_id=row.pk,
                target_name=(row.name or getattr(row, 'client_id', ''))[:128],
                reason=row.state_reason or 'Paused before the reasons were kept.',
                began_at=act.at if act else django.utils.timezone.now(),
                by_name=act.actor_name if act else '',
                by_id=act.actor_id[:64] if act else '',
            )


class Migration(migrations.Migration):
    """Additive: processes of the version before go on. What they pause or resume meanwhile, `state` alone says."""

    dependencies = [
        ('access', '0006_kept_answers'),
        ('audit', '0005_indexes_for_walking'),
        ('installations', '0005_former_installation'),
    ]

    operations = [
        # Rather fail and be run again than have everybody wait behind one long reader.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name='Pause',
            fields=[
                ('id', models.UUIDField(default=core.ids.new_id, editable=False, help_text='Identifier, ordered by time.', primary_key=True, serialize=False)),
                ('scope', models.CharField(choices=[('PLATFORM', 'The whole platform'), ('BRAND', 'Brand'), ('INSTALLATION', 'App installation'), ('CHANNEL', 'Channel'), ('CONSUMER', 'Consumer')], help_text='What kind of thing is paused.', max_length=16)),
                ('target_id', models.UUIDField(blank=True, help_text='Which brand, app installation, channel or consumer; empty: the platform.', null=True)),
                ('target_name', models.CharField(blank=True, help_text='Its name when it was paused; empty for consumers and the platform.', max_length=128)),
                ('direction', models.CharField(choices=[('BOTH', 'In both directions'), ('TO_LIVEPERSON', 'Towards LivePerson'), ('TO_CHANNEL', 'Towards the channel')], default='BOTH', help_text='What of it waits.', max_length=16)),
                ('reason', models.CharField(help_text='Why, for whoever sees that nothing is sent.', max_length=300)),
                ('began_at', models.DateTimeField(default=django.utils.timezone.now, help_text='Since when.')),
                ('until', models.DateTimeField(blank=True, help_text='When it ends by itself; empty: when somebody resumes it.', null=True)),
                ('by_name', models.CharField(blank=True, help_text='Who paused it.', max_length=150)),
                ('by_id', models.CharField(blank=True, help_text='The id of that person or key.', max_length=64)),
                ('ended_at', models.DateTimeField(blank=True, help_text='When it ended; empty: it is in force.', null=True)),
                ('ended_by', models.CharField(blank=True, help_text='Who ended it.', max_length=150)),
                ('end_reason', models.CharField(blank=True, help_text='Why it was ended.', max_length=300)),
                ('woken_at', models.DateTimeField(blank=True, help_text='When the last lane that slept for it was woken; empty: not yet.', null=True)),
                ('woken_to', models.UUIDField(blank=True, help_text='The last lane that was woken: those with greater ids are still to be.', null=True)),
                ('brand', models.ForeignKey(blank=True, db_index=False, help_text='The brand that this belongs to; empty: the whole platform is paused.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='access.brand')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['brand', '-id'], name='pause_brand'), models.Index(condition=models.Q(('ended_at', None)), fields=['id'], name='pause_in_force'), models.Index(condition=models.Q(('ended_at__isnull', False), ('woken_at', None)), fields=['id'], name='pause_to_wake')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('scope', 'target_id', 'direction'), name='pause_once_in_force', nulls_distinct=False), models.CheckConstraint(condition=models.Q(models.Q(('brand', None), ('scope', 'PLATFORM'), ('target_id', None)), models.Q(models.Q(('scope', 'PLATFORM'), _negated=True), ('brand__isnull', False), ('target_id__isnull', False)), _connector='OR'), name='pause_of_platform_or_brand'), models.CheckConstraint(condition=models.Q(('until', None), ('until__gt', models.F('began_at')), _connector='OR'), name='pause_ends_after_begin')],
            },
        ),
        migrations.RunPython(make_rows, migrations.RunPython.noop),
    ]
