"""
The rows of a site with history, as statements that PostgreSQL runs by itself.

First comes a plan: a temporary table with one row a message, in the order of time, which knows the ids of everything
around it. Each long table is then one pass over the plan, so rows stand on the disk in the order in which the site
would have written them, and no pass joins or sorts. An id is computed from its moment and from what it stands for:
whoever needs it computes it again.

A conversation has TURNS messages, and every second one brings a new consumer. plan_site says how many messages there
are, when the first conversation begins, and how far apart they begin.
"""

from __future__ import annotations

TURNS = 10
# The first consumers are of a brand that left soon after: what it has lies beneath everything.
GONE = 40

# Milliseconds, the version, random bits, the variant: what core.ids takes for one of ours.
_ID_OF = """
    CREATE FUNCTION pg_temp.id_of(ms bigint, what text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
        SELECT overlay(overlay(md5(what) placing lpad(to_hex(ms), 12, '0') || '7' from 1) placing '8' from 17)::uuid
    $$
"""
_AT = """
    CREATE FUNCTION pg_temp.at(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
        SELECT to_timestamp(ms / 1000.0)
    $$
"""
# A number below `sides` that is always the same for the same things.
_DICE = """
    CREATE FUNCTION pg_temp.dice(what text, sides int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
        SELECT ((hashtextextended(what, 0) & 2147483647) % sides)::int
    $$
"""
_OUTCOMES = """
    CREATE FUNCTION pg_temp.state_of(c bigint, j int, is_last_in_lane boolean, is_recent boolean) RETURNS text
    LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE
            -- What holds its lane stands at the end of it: nobody has written since.
            WHEN is_last_in_lane AND pg_temp.dice('hold' || c || ',' || j, 100) = 0 THEN 'UNKNOWN'
            WHEN is_last_in_lane AND is_recent AND pg_temp.dice('wait' || c || ',' || j, 4) = 0 THEN 'QUEUED'
            ELSE (ARRAY['DEAD', 'FAILED', 'PARKED', 'DROPPED'])[pg_temp.dice('end' || c || ',' || j, 1000) + 1]
        END
    $$
"""

_SITE = """
    CREATE TEMP TABLE plan_site (messages bigint, begins_ms bigint, pace_ms bigint, retention_days int)
"""
_CHANNELS = """
    CREATE TEMP TABLE plan_channel (
        first int, last int, brand_id uuid, account_id uuid, installation_id uuid, channel_id uuid, prefix text)
"""
_HASHES = "CREATE TEMP TABLE plan_hash (phone text, hash bytea)"

_CONSUMERS = f"""
    CREATE TEMP TABLE plan_consumer AS
    SELECT k, ms, pg_temp.id_of(ms, 'consumer' || k) AS id, pg_temp.id_of(ms + 1, 'to liveperson' || k) AS to_lp_id,
           pg_temp.id_of(ms + 2, 'to channel' || k) AS to_channel_id,
           CASE WHEN k <= {GONE} THEN 10000 ELSE pg_temp.dice('channel' || k, 10000) END AS slot,
           '+1555' || lpad(k::text, 8, '0') AS phone
    FROM (SELECT k, begins_ms + (2 * k - 1) * pace_ms - 2000 AS ms
          FROM plan_site, generate_series(1, messages / {2 * TURNS}) k) came
"""
# A consumer who comes back was here before the conversations that run at the moment.
_CONVERSATIONS = f"""
    CREATE TEMP TABLE plan_conversation AS
    SELECT c, ms, pg_temp.id_of(ms, 'conversation' || c) AS id, k,
           lead(c) OVER (PARTITION BY k ORDER BY c) IS NULL AS is_last, c > latest AS is_recent,
           c > latest AND lead(c) OVER (PARTITION BY k ORDER BY c) IS NULL AS is_open,
           md5('lp' || c)::uuid::text AS lp_id
    FROM (SELECT c, begins_ms + c * pace_ms AS ms,
                 CASE WHEN c % 2 = 1 THEN (c + 1) / 2 WHEN c / 2 <= {GONE} + 20 THEN 1
                      ELSE {GONE} + 1 + pg_temp.dice('back' || c, (c / 2 - {GONE} - 20)::int) END AS k,
                 messages / {TURNS} * 299 / 300 AS latest
          FROM plan_site, generate_series(1, messages / {TURNS}) c) begun
"""
_MESSAGES = f"""
    CREATE TEMP TABLE plan_message AS
    SELECT spoken.*, pg_temp.id_of(spoken.ms, 'message' || n) AS id,
           coalesce(pg_temp.state_of(c, j, is_last AND j >= {TURNS - 2}, is_recent), 'SENT') AS state
    FROM (SELECT conversation.c, j, conversation.c * 16 + j AS n, j % 2 = 0 AS from_consumer,
                 conversation.ms + 100 + j * 150000 + pg_temp.dice('pause' || conversation.c || ',' || j, 100000) AS ms,
                 conversation.ms AS conversation_ms, conversation.id AS conversation_id, conversation.lp_id,
                 conversation.is_last, conversation.is_recent,
                 consumer.k, consumer.id AS consumer_id, consumer.to_lp_id, consumer.to_channel_id,
                 channel.brand_id, channel.account_id, channel.installation_id, channel.channel_id, retention_days
          FROM plan_site, plan_conversation conversation
          JOIN plan_consumer consumer ON consumer.k = conversation.k
          JOIN plan_channel channel ON consumer.slot BETWEEN channel.first AND channel.last
          CROSS JOIN generate_series(0, {TURNS - 1}) j) spoken
    ORDER BY ms
"""

# What is sent beside messages: each conversation is opened, and LivePerson is told of what was read in it.
_DISPATCHES = f"""
    CREATE TEMP TABLE plan_dispatch AS
    SELECT plan.*, sent.*, pg_temp.id_of(sent.sent_ms, sent.kind || n) AS dispatch_id,
           CASE sent.kind WHEN 'OPEN' THEN 'OPEN' ELSE CASE WHEN to_lp THEN 'PUBLISH' ELSE 'SEND' END END AS step,
           CASE WHEN sent.to_lp THEN to_lp_id ELSE to_channel_id END AS lane_id
    FROM plan_message plan CROSS JOIN LATERAL (
        SELECT 'OPEN' AS kind, true AS to_lp, 'SENT' AS became, n - 1 AS place, ms + 15 AS sent_ms WHERE j = 0
        UNION ALL
        SELECT 'TEXT', from_consumer, state, n, ms + 20
        UNION ALL
        SELECT 'RECEIPT', true, 'SENT', n + 1, ms + 40000 WHERE j = {TURNS - 1} AND NOT is_last
    ) sent
"""

EMPTY_PLAN = (_ID_OF, _AT, _DICE, _OUTCOMES, _SITE, _CHANNELS, _HASHES)
PLAN = (_CONSUMERS, _CONVERSATIONS, _MESSAGES, _DISPATCHES)

_CONSUMER_ROWS = """
    INSERT INTO conversations_consumer (
        id, brand_id, account_id, channel_id, ext_consumer_id, channel_consumer_id, search_hash, lp_consumer_id, name,
        profile, is_typing, created_at, last_seen_at)
    SELECT id, brand_id, account_id, channel_id, prefix || ':' || phone, phone, hash, md5('consumer' || k), 'Ada ' || k,
           '{"ctype": "gold"}', false, pg_temp.at(ms), pg_temp.at(ms + 60000)
    FROM plan_consumer JOIN plan_channel ON slot BETWEEN first AND last JOIN plan_hash USING (phone)
    ORDER BY id
"""
_TOKEN_ROWS = """
    INSERT INTO conversations_consumertoken (consumer_id, installation_id, sealed, created_at)
    SELECT id, installation_id, '\\x01'::bytea || sha512(phone::bytea), pg_temp.at(ms)
    FROM plan_consumer JOIN plan_channel ON slot BETWEEN first AND last ORDER BY id
"""
_LANE_ROWS = """
    INSERT INTO conversations_lane (
        id, brand_id, account_id, consumer_id, direction, next_position, fence, blocked_by)
    SELECT lane.id, brand_id, account_id, plan_consumer.id, lane.direction, 1::bigint << 52, 20, ''
    FROM plan_consumer JOIN plan_channel ON slot BETWEEN first AND last
    CROSS JOIN LATERAL (VALUES (to_lp_id, 'TO_LIVEPERSON'), (to_channel_id, 'TO_CHANNEL')) lane (id, direction)
    ORDER BY lane.id
"""
_CONVERSATION_ROWS = f"""
    INSERT INTO conversations_conversation (
        id, brand_id, account_id, installation_id, channel_id, consumer_id, lp_conversation_id, state, opened_at,
        closed_at, close_reason, skill_id, agent_ids, lp_updated_ms)
    SELECT conversation.id, brand_id, account_id, installation_id, channel_id, consumer.id, lp_id,
           CASE WHEN is_open THEN 'OPEN' ELSE 'CLOSED' END, pg_temp.at(conversation.ms),
           CASE WHEN NOT is_open THEN pg_temp.at(conversation.ms + {TURNS} * 150000) END,
           CASE WHEN is_open THEN '' ELSE 'AGENT' END, 'skill-' || c % 7, jsonb_build_array('agent-' || c % 40),
           conversation.ms
    FROM plan_conversation conversation JOIN plan_consumer consumer USING (k)
    JOIN plan_channel ON slot BETWEEN first AND last ORDER BY conversation.id
"""
_DIALOG_ROWS = """
    INSERT INTO conversations_dialog (
        id, conversation_id, lp_dialog_id, type, is_open, last_sequence, complete_to, ahead, missing)
    SELECT pg_temp.id_of(ms + 1, 'dialog' || c), id, lp_id, 'MAIN', is_open, 9, 9, '[]', '{}'
    FROM plan_conversation ORDER BY c
"""
_MESSAGE_ROWS = """
    INSERT INTO conversations_message (
        id, brand_id, consumer_id, conversation_id, channel_id, direction, sender_role, kind, audience, status,
        error_code, lp_dialog_id, lp_sequence, order_mark, channel_message_id, occurred_at, created_at, correlation_id,
        removed_by)
    SELECT id, brand_id, consumer_id, conversation_id, channel_id,
           CASE WHEN from_consumer THEN 'TO_LIVEPERSON' ELSE 'TO_CHANNEL' END,
           CASE WHEN from_consumer THEN 'CONSUMER' ELSE 'ASSIGNED_AGENT' END,
           CASE n % 50 WHEN 7 THEN 'FILE' WHEN 9 THEN 'RICH' ELSE 'TEXT' END, 'ALL',
           CASE WHEN state IN ('FAILED', 'DEAD', 'DROPPED') THEN 'FAILED'
                WHEN state IN ('PARKED', 'UNKNOWN', 'QUEUED') THEN 'QUEUED'
                WHEN from_consumer THEN 'SENT'
                ELSE (ARRAY['SENT', 'DELIVERED', 'READ', 'READ'])[n / 2 % 4 + 1] END,
           CASE WHEN state IN ('FAILED', 'DEAD') THEN 'request_rejected' ELSE '' END,
           lp_id, j, '', CASE WHEN from_consumer THEN 'm-' ELSE 'p-' END || n,
           pg_temp.at(ms - 300), pg_temp.at(ms), pg_temp.id_of(ms - 40, 'delivery' || n)::text, ''
    FROM plan_message
"""
_CONTENT_ROWS = """
    INSERT INTO conversations_messagecontent (
        message_id, text, attachments, quick_replies, metadata, expires_on)
    SELECT id, 'Where is my parcel? It was to come on Monday, and this is the ' || n || 'th time that I ask.', '[]',
           '[]', '[]', (pg_temp.at(ms) AT TIME ZONE 'UTC')::date + retention_days
    FROM plan_message
"""
_FILE_ROWS = """
    INSERT INTO conversations_mediafile (
        id, brand_id, message_id, index, name, mime, size, sha256, created_at, expires_on)
    SELECT pg_temp.id_of(ms + 10, 'file' || n), brand_id, id, 0, 'a' || n || '.png', 'image/png', 40000,
           sha256(n::text::bytea), pg_temp.at(ms + 10), (pg_temp.at(ms) AT TIME ZONE 'UTC')::date + retention_days
    FROM plan_message WHERE n % 50 = 7
"""
_DISPATCH_ROWS = """
    INSERT INTO conversations_dispatch (
        id, brand_id, lane_id, consumer_id, direction, channel_id, position, kind, state, message_id, conversation_id,
        lp_dialog_id, payload, progress, step, attempt_count, next_attempt_at, content_digest, lp_sequence,
        provider_ids, error_code, error_detail, resolution, sequence_before, unknown_at, possible_duplicate,
        created_at, finished_at, correlation_id)
    SELECT dispatch_id, brand_id, lane_id, consumer_id, CASE WHEN to_lp THEN 'TO_LIVEPERSON' ELSE 'TO_CHANNEL' END,
           channel_id, (place + 1) << 20, kind, became, CASE WHEN kind = 'TEXT' THEN id END,
           conversation_id, lp_id, '{"part": 0, "of": 1}', '{}',
           CASE WHEN became = 'QUEUED' THEN '' ELSE step END,
           CASE WHEN became = 'QUEUED' THEN 0 WHEN n % 20 = 3 OR became <> 'SENT' THEN 2 ELSE 1 END,
           CASE WHEN became IN ('UNKNOWN', 'QUEUED') THEN now() + interval '1 day' END,
           CASE WHEN kind = 'TEXT' THEN sha256(n::text::bytea) END,
           CASE WHEN to_lp AND kind = 'TEXT' AND became = 'SENT' THEN j END,
           CASE WHEN NOT to_lp AND became = 'SENT' THEN jsonb_build_array('p-' || n) ELSE '[]' END,
           CASE WHEN became IN ('SENT', 'QUEUED') THEN '' ELSE 'unanswered' END,
           CASE WHEN became IN ('SENT', 'QUEUED') THEN '' ELSE 'No answer came within 9 s.' END,
           CASE became WHEN 'SENT' THEN 'answer' WHEN 'DROPPED' THEN 'person' ELSE '' END,
           CASE WHEN to_lp THEN greatest(j - 1, 0) END,
           CASE WHEN became IN ('UNKNOWN', 'PARKED') THEN pg_temp.at(sent_ms + 9000) END,
           n % 997 = 0, pg_temp.at(sent_ms),
           CASE WHEN became IN ('SENT', 'FAILED', 'DEAD', 'DROPPED') THEN pg_temp.at(sent_ms + 120) END,
           pg_temp.id_of(ms - 40, 'delivery' || n)::text
    FROM plan_dispatch
"""
# One in twenty that was sent needed a second try, and so did all that was not.
_ATTEMPT_ROWS = """
    INSERT INTO conversations_attempt (
        id, brand_id, dispatch_id, step, fence, started_at, finished_at, outcome, error_code, http_status,
        provider_code, detail, answer_head, elapsed_ms)
    SELECT pg_temp.id_of(sent_ms + tried.after_ms, kind || n || ',' || tried.number), brand_id, dispatch_id, step,
           tried.number, pg_temp.at(sent_ms + tried.after_ms), pg_temp.at(sent_ms + tried.after_ms + 80), tried.outcome,
           tried.error_code, tried.http_status, '',
           CASE WHEN tried.error_code <> '' THEN 'It was not accepted.' ELSE '' END,
           CASE WHEN tried.http_status >= 400 THEN '{"error": "busy"}' ELSE '' END, 80
    FROM plan_dispatch CROSS JOIN LATERAL (
        SELECT 1 AS number, 25 AS after_ms, 'NOT_PROCESSED' AS outcome, 'rate_limited' AS error_code, 429 AS http_status
        WHERE became <> 'QUEUED' AND (n % 20 = 3 OR became <> 'SENT')
        UNION ALL
        SELECT 2, 1025, 'ACCEPTED', '', 200 WHERE became = 'SENT'
        UNION ALL
        SELECT 2, 1025, 'REJECTED', 'request_rejected', 400 WHERE became IN ('FAILED', 'DEAD')
        UNION ALL
        SELECT 2, 1025, 'UNANSWERED', 'unanswered', NULL WHERE became IN ('UNKNOWN', 'PARKED', 'DROPPED')
    ) tried
"""
_LANES_THAT_WAIT = """
    UPDATE conversations_lane lane SET due_at = now() + interval '1 day'
    FROM conversations_dispatch waits
    WHERE waits.lane_id = lane.id AND waits.state IN ('UNKNOWN', 'QUEUED')
"""

_INBOX_ROWS = """
    INSERT INTO webhooks_inbox (id, brand_id, fence, gap_wait_s, gaps_given_up)
    SELECT DISTINCT source.id, brand_id, 1, 5, 0
    FROM plan_channel CROSS JOIN LATERAL (VALUES (installation_id), (channel_id)) source (id)
"""
# A message arrives from its side; LivePerson tells of the consumer's, too. What nobody can use arrives beside them.
_ARRIVALS = """
    CREATE TEMP TABLE plan_delivery AS
    SELECT plan.*, arrived.*, pg_temp.id_of(arrived.arrived_ms, arrived.what || n) AS delivery_id,
           CASE WHEN arrived.by_channel THEN channel_id ELSE installation_id END AS source_id
    FROM plan_message plan CROSS JOIN LATERAL (
        SELECT 'delivery' AS what, from_consumer AS by_channel, ms - 40 AS arrived_ms, 'PROCESSED' AS arrival,
               'APPLIED' AS outcome
        UNION ALL
        SELECT 'echo', false, ms + 900, 'PROCESSED', CASE n % 40 WHEN 4 THEN 'FOREIGN' ELSE 'ECHO' END
        WHERE from_consumer
        UNION ALL
        SELECT 'odd', n % 3 = 0, ms + 2000,
               CASE WHEN n % 3000 < 1500 THEN 'QUARANTINED' ELSE 'DEAD' END, ''
        WHERE n % 500 = 11
    ) arrived
"""
_DELIVERY_ROWS = """
    INSERT INTO webhooks_delivery (
        id, brand_id, inbox_id, installation_id, channel_id, state, received_at, processed_at, secret_id, sha256, size,
        request_identity, start_count, detail)
    SELECT delivery_id, brand_id, source_id, CASE WHEN NOT by_channel THEN installation_id END,
           CASE WHEN by_channel THEN channel_id END, arrival, pg_temp.at(arrived_ms), pg_temp.at(arrived_ms + 30),
           source_id, sha256((what || n)::bytea), 400, CASE WHEN by_channel THEN what || n ELSE '' END, 1,
           CASE WHEN arrival = 'PROCESSED' THEN '' ELSE 'It cannot be read.' END
    FROM plan_delivery
"""
# Bodies are the bulk of a site and of no list: those of what cannot be used, and of the last days, stand for them.
_BODY_ROWS = """
    INSERT INTO webhooks_deliverybody (delivery_id, raw, headers, expires_on)
    SELECT delivery_id, convert_to(repeat('{"body": {"changes": []}}', 16), 'UTF8'), '{}',
           (pg_temp.at(arrived_ms) AT TIME ZONE 'UTC')::date + retention_days
    FROM plan_delivery WHERE arrival <> 'PROCESSED' OR pg_temp.at(arrived_ms) > now() - interval '2 days'
"""
_EVENT_ROWS = """
    INSERT INTO webhooks_event (
        id, brand_id, delivery_id, index, type, identity, lp_conversation_id, outcome, detail, message_id, at)
    SELECT pg_temp.id_of(arrived_ms + 30, 'event' || what || n), brand_id, delivery_id, 0,
           CASE WHEN by_channel THEN 'message.received' ELSE 'ms.MessagingEventNotification' END,
           what || ':' || lp_id || ':' || j, lp_id, outcome, '',
           CASE WHEN outcome IN ('APPLIED', 'ECHO') THEN id END, pg_temp.at(arrived_ms + 30)
    FROM plan_delivery WHERE arrival = 'PROCESSED'
"""
_SEEN_ROWS = """
    INSERT INTO webhooks_seen (brand_id, source_id, digest, content_digest, delivery_id, seen_at)
    SELECT brand_id, source_id, decode(md5(what || n), 'hex'), decode(md5('content' || n), 'hex'), delivery_id,
           pg_temp.at(arrived_ms + 30)
    FROM plan_delivery WHERE arrival = 'PROCESSED'
"""

# One act to twenty messages: what people did to dispatches, consumers and connectors, and what they dropped.
_ACTS = """
    INSERT INTO audit_auditentry (
        id, at, action, brand_id, actor_kind, actor_id, actor_name, address, subject_type, subject_id, subject_name,
        data, reason, correlation_id)
    SELECT pg_temp.id_of(act.done_ms, 'act' || n), pg_temp.at(act.done_ms), act.action, brand_id,
           (ARRAY['PERSON', 'PERSON', 'COMMAND', 'SYSTEM'])[c % 4 + 1], md5('actor' || c % 12)::uuid::text,
           'ada' || c % 12, '127.0.0.1', act.subject_type, act.subject_id, act.subject_type || ' ' || n, '{}',
           'Asked for by the brand.', pg_temp.id_of(ms - 40, 'delivery' || n)::text
    FROM plan_message CROSS JOIN LATERAL (
        SELECT ms + 700000 AS done_ms, 'dispatch.dropped' AS action, 'dispatch' AS subject_type,
               pg_temp.id_of(ms + 20, 'TEXT' || n)::text AS subject_id
        WHERE state = 'DROPPED'
        UNION ALL
        SELECT ms + 200,
               (ARRAY['user.signed_in', 'installation.changed', 'channel.changed', 'installation.tested',
                      'conversation.close_requested', 'consumer.hold_set', 'consumer.hold_lifted'])[c % 7 + 1],
               (ARRAY['user', 'appinstallation', 'channel', 'appinstallation',
                      'conversation', 'consumer', 'consumer'])[c % 7 + 1],
               (ARRAY[md5('actor' || c % 12)::uuid, installation_id, channel_id, installation_id,
                      conversation_id, consumer_id, consumer_id])[c % 7 + 1]::text
        WHERE state <> 'DROPPED' AND j = 4 AND c % 2 = 0
    ) act
"""

FILL: dict[str, str] = {
    "consumers": _CONSUMER_ROWS,
    "tokens": _TOKEN_ROWS,
    "lanes": _LANE_ROWS,
    "conversations": _CONVERSATION_ROWS,
    "dialogs": _DIALOG_ROWS,
    "messages": _MESSAGE_ROWS,
    "contents": _CONTENT_ROWS,
    "files": _FILE_ROWS,
    "dispatches": _DISPATCH_ROWS,
    "attempts": _ATTEMPT_ROWS,
    "lanes that wait": _LANES_THAT_WAIT,
    "inboxes": _INBOX_ROWS,
    "arrivals": _ARRIVALS,
    "deliveries": _DELIVERY_ROWS,
    "bodies": _BODY_ROWS,
    "events": _EVENT_ROWS,
    "identities": _SEEN_ROWS,
    "acts": _ACTS,
}

LONG_TABLES = (
    "conversations_consumer",
    "conversations_consumertoken",
    "conversations_lane",
    "conversations_conversation",
    "conversations_dialog",
    "conversations_message",
    "conversations_messagecontent",
    "conversations_mediafile",
    "conversations_dispatch",
    "conversations_attempt",
    "webhooks_inbox",
    "webhooks_delivery",
    "webhooks_deliverybody",
    "webhooks_event",
    "webhooks_seen",
    "audit_auditentry",
)
