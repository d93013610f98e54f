from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # Built while everything runs.
    atomic = False

    dependencies = [
        ('audit', '0004_index_of_correlation'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['brand', '-id'], name='audit_brand'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['subject_id', '-id'], name='audit_of_subject'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['actor_id', '-id'], name='audit_of_actor'),
        ),
        RemoveIndexConcurrently(
            model_name='auditentry',
            name='audit_subject',
        ),
    ]
