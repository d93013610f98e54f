from django.db import migrations


class Migration(migrations.Migration):
    """
    Nothing ever filled it: when a secret was last used is read from the deliveries.

    The column stays, empty: processes of the version before go on reading these tables. A later version drops it.
    """

    dependencies = [
        ('installations', '0003_upstream'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField(model_name='channelsecret', name='last_verified_at'),
                migrations.RemoveField(model_name='installationsecret', name='last_verified_at'),
            ],
        ),
    ]
