import django.db.models.deletion
from django.db import migrations, models

# Processes of the version before go on queueing until they are restarted, and know nothing of these columns.
FILL = """
CREATE FUNCTION conversations_dispatch_from_lane() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $fill$
BEGIN
    SELECT lane.consumer_id, lane.direction, COALESCE(message.channel_id, consumer.channel_id)
    INTO NEW.consumer_id, NEW.direction, NEW.channel_id
    FROM conversations_lane lane
    JOIN conversations_consumer consumer ON consumer.id = lane.consumer_id
    LEFT JOIN conversations_message message ON message.id = NEW.message_id
    WHERE lane.id = NEW.lane_id;
    RETURN NEW;
END
$fill$;

CREATE TRIGGER dispatch_from_lane BEFORE INSERT ON conversations_dispatch
    FOR EACH ROW WHEN (NEW.channel_id IS NULL) EXECUTE FUNCTION conversations_dispatch_from_lane();
"""
FILL_NO_MORE = """
DROP TRIGGER dispatch_from_lane ON conversations_dispatch;
DROP FUNCTION conversations_dispatch_from_lane();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0017_index_of_ended'),
    ]

    operations = [
        # Taken at once or not at all: what waits for a lock makes everybody behind it wait too.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name='dispatch',
            name='consumer',
            field=models.ForeignKey(db_constraint=False, db_index=False, help_text="The lane's consumer.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='dispatches', to='conversations.consumer'),
        ),
        migrations.AddField(
            model_name='dispatch',
            name='direction',
            field=models.CharField(choices=[('TO_LIVEPERSON', 'To LivePerson'), ('TO_CHANNEL', 'To the channel')], help_text="The lane's direction.", max_length=16, null=True),
        ),
        migrations.AddField(
            model_name='dispatch',
            name='channel',
            field=models.ForeignKey(db_index=False, help_text="The channel it goes through: its message's, or else the one that the consumer had written on last.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='installations.channel'),
        ),
        migrations.RunSQL(FILL, FILL_NO_MORE),
    ]
