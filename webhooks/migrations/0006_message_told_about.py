from django.db import migrations, models


class Migration(migrations.Migration):
    """Only a help text: nothing is done to the table."""

    dependencies = [
        ('webhooks', '0005_last_day'),
    ]

    operations = [
        migrations.AlterField(
            model_name='event',
            name='message_id',
            field=models.UUIDField(blank=True, help_text='The message that it made, or tells about.', null=True),
        ),
    ]
