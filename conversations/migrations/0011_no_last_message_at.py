from django.db import migrations, models


class Migration(migrations.Migration):
    """
    Nothing ever filled it: when the last message came is what the messages themselves say.

    The column stays, empty: processes of the version before go on reading these tables. A later version drops it.
    """

    dependencies = [
        ('conversations', '0010_index_of_held_lanes'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField(model_name='conversation', name='last_message_at'),
            ],
        ),
        migrations.AlterField(
            model_name='lane',
            name='fence',
            field=models.BigIntegerField(default=0, help_text='Counts claims; a result under an older number moves nothing on, and settles what is in doubt.'),
        ),
    ]
