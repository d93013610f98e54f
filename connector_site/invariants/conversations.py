"""The promises about messages and conversations."""

from __future__ import annotations

from connector_site.invariants.asking import Invariant

INVARIANTS = [
    Invariant(
        name="consumer_message_is_queued",
        promise="What a consumer wrote is sent, or shown as not sent: each message has a dispatch.",
        sql="""
            SELECT message.id, message.status FROM conversations_message message
            WHERE message.direction = 'TO_LIVEPERSON'
              AND NOT EXISTS (SELECT 1 FROM conversations_dispatch dispatch WHERE dispatch.message_id = message.id)
        """,
    ),
    Invariant(
        name="queued_message_is_under_way",
        promise="A message that is called queued waits for something: for its turn, or for a person.",
        sql="""
            SELECT message.id, message.direction FROM conversations_message message
            WHERE message.status = 'QUEUED'
              AND NOT EXISTS (SELECT 1 FROM conversations_dispatch dispatch
                              WHERE dispatch.message_id = message.id
                                AND dispatch.state NOT IN ('SENT', 'DROPPED'))
        """,
    ),
    Invariant(
        name="private_note_stays_private",
        promise="A private note between agents never goes to the consumer.",
        sql="""
            SELECT message.id, dispatch.id AS dispatch_id FROM conversations_message message
            JOIN conversations_dispatch dispatch ON dispatch.message_id = message.id
            JOIN conversations_lane lane ON lane.id = dispatch.lane_id
            WHERE message.audience <> 'ALL' AND lane.direction = 'TO_CHANNEL'
        """,
    ),
    Invariant(
        name="one_open_conversation",
        promise="A consumer has at most one conversation that is not closed.",
        sql="""
            SELECT consumer_id, count(*) FROM conversations_conversation
            WHERE state <> 'CLOSED' GROUP BY consumer_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="one_consumer_along_a_dispatch",
        promise="A dispatch, its lane, its message and its conversation are of one consumer, and say one direction.",
        sql="""
            SELECT dispatch.id, lane.consumer_id FROM conversations_dispatch dispatch
            JOIN conversations_lane lane ON lane.id = dispatch.lane_id
            LEFT JOIN conversations_message message ON message.id = dispatch.message_id
            LEFT JOIN conversations_conversation conversation ON conversation.id = dispatch.conversation_id
            WHERE dispatch.consumer_id <> lane.consumer_id OR dispatch.direction <> lane.direction
               OR message.consumer_id <> lane.consumer_id OR conversation.consumer_id <> lane.consumer_id
        """,
    ),
    Invariant(
        name="one_account_along_a_conversation",
        promise="A conversation, its consumer, its channel and its app installation are of one LivePerson account.",
        sql="""
            SELECT conversation.id FROM conversations_conversation conversation
            JOIN conversations_consumer consumer ON consumer.id = conversation.consumer_id
            JOIN installations_channel channel ON channel.id = conversation.channel_id
            JOIN installations_appinstallation installation ON installation.id = conversation.installation_id
            WHERE conversation.account_id <> ALL
                  (ARRAY[consumer.account_id, channel.account_id, installation.account_id])
               OR consumer.account_id <> channel.account_id OR consumer.account_id <> installation.account_id
        """,
    ),
]
