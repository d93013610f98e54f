"""
What the REST API tells of a message's way: the rows as their own lists tell them, one list of steps, and a summary.

Facts only, also for keys that may read content: what was said is read from the message.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from connector_site.links import row_link
from connector_site.trace.rows import MOST_ATTEMPTS, MOST_OF_OTHERS
from connector_site.trace.steps import Step
from conversations.models import Dispatch
from conversations.serializers import AttemptSerializer, DispatchSerializer, MessageSerializer
from webhooks.serializers import DeliverySerializer, EventSerializer

_MS = "Milliseconds; null where an end of it is missing."


class SummarySerializer(serializers.Serializer[Any]):
    received_at = serializers.DateTimeField(allow_null=True, help_text="When the request that brought it arrived.")
    applied_at = serializers.DateTimeField(help_text="When it was read from that, and stored.")
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When its last part had gone.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="When the other side was known to have it.")
    read_at = serializers.DateTimeField(allow_null=True, help_text="When the other side was known to have read it.")
    received_to_applied_ms = serializers.IntegerField(allow_null=True, help_text=_MS)
    applied_to_sent_ms = serializers.IntegerField(allow_null=True, help_text=_MS)
    sent_to_delivered_ms = serializers.IntegerField(allow_null=True, help_text=_MS)
    delivered_to_read_ms = serializers.IntegerField(allow_null=True, help_text=_MS)
    received_to_delivered_ms = serializers.IntegerField(allow_null=True, help_text=_MS)


class StepSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="When it happened.")
    since_previous_ms = serializers.IntegerField(
        allow_null=True, help_text="Milliseconds since the step before; null for the first."
    )
    what = serializers.CharField(help_text="What happened, for programs, such as attempt.accepted.")
    sentence = serializers.CharField(help_text="The same for people.")
    resource = serializers.CharField(help_text="The list in which the row stands that tells it.")
    id = serializers.UUIDField(help_text="Id of that row.")
    link = serializers.SerializerMethodField(help_text="Address of that row.")

    def get_link(self, step: Step) -> str:
        return row_link(self.context["asked"], step.resource, step.id)


class TracedDeliverySerializer(DeliverySerializer):
    has_body = serializers.BooleanField(help_text="Whether its body is still kept.")

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "has_body")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class TracedEventSerializer(EventSerializer):
    delivery = serializers.UUIDField(source="delivery_id", help_text="Id of the delivery that brought it.")

    class Meta(EventSerializer.Meta):
        fields = (*EventSerializer.Meta.fields, "delivery")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class TracedDispatchSerializer(DispatchSerializer):
    attempts = serializers.SerializerMethodField(help_text="Its tries, oldest first.")

    class Meta(DispatchSerializer.Meta):
        fields = (*DispatchSerializer.Meta.fields, "attempts")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, row: Dispatch) -> list[dict[str, Any]]:
        tries = self.context["attempts"].get(row.pk, ())
        return _Tries({"tries": tries}, context=self.context).data["tries"]


class _Tries(serializers.Serializer[Any]):
    # Inside of another, so that the tries are told as facts without links.
    tries = AttemptSerializer(many=True)


class ActSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Id of the entry in the audit trail.")
    at = serializers.DateTimeField(help_text="When it was done.")
    action = serializers.CharField(help_text="What was done, such as dispatch.resent.")
    actor_kind = serializers.CharField(help_text="What kind of actor did it.")
    actor_name = serializers.CharField(help_text="Name of the actor at that time.")
    subject_type = serializers.CharField(help_text="Kind of the row it was done to.")
    subject_id = serializers.CharField(help_text="Id of that row.")


class TraceSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="message.pk", help_text="Id of the message.")
    message = MessageSerializer(help_text="The message, as facts.")
    summary = SummarySerializer(help_text="The stages that it reached, and how long each took.")
    steps = StepSerializer(many=True, help_text="Everything that happened, oldest first.")
    delivery = serializers.UUIDField(
        source="bringing.pk", default=None, allow_null=True, help_text="Id of the delivery that brought it, if known."
    )
    deliveries = TracedDeliverySerializer(many=True, help_text="What brought it, and what told about it.")
    events = TracedEventSerializer(many=True, help_text="What these said of the message, and what came of it.")
    dispatches = TracedDispatchSerializer(many=True, help_text="What was to be sent for it.")
    receipts = TracedDispatchSerializer(many=True, help_text="What one side was told became of it on the other.")
    acts = ActSerializer(many=True, help_text="What people did to its sends and deliveries.")
    more = serializers.ListField(
        child=serializers.CharField(),
        help_text="Of which of events, dispatches, receipts, attempts and acts there are more than the newest: "
        f"{MOST_ATTEMPTS} attempts, {MOST_OF_OTHERS} of all else.",
    )


class TraceableSerializer(MessageSerializer):
    trace = serializers.SerializerMethodField(help_text="Address of its trace.")

    class Meta(MessageSerializer.Meta):
        fields = (*MessageSerializer.Meta.fields, "trace")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def get_trace(self, row: Any) -> str:
        return row_link(self.context["asked"], "messages", row.pk, "trace")


class TraceListSerializer(serializers.Serializer[Any]):
    correlation_id = serializers.CharField(help_text="What was asked for.")
    messages = TraceableSerializer(many=True, help_text="The newest messages that carry it, newest first.")
    has_more = serializers.BooleanField(help_text="Whether more of them carry it.")


__all__ = ["TraceListSerializer", "TraceSerializer"]
