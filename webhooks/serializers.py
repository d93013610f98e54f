"""What the REST API tells of deliveries: that they arrived, which secret verified them, what each event in them did."""

from __future__ import annotations

from rest_framework import serializers

from access.rest.content import masked
from access.rest.facts import links_to
from access.rest.serializers import BrandFactsSerializer, Digest
from webhooks.models import Delivery, Event, EventOutcome


class EventSerializer(serializers.ModelSerializer[Event]):
    message = serializers.UUIDField(
        source="message_id", allow_null=True, help_text="Id of the message that it made or spoke of; null for none."
    )
    detail = serializers.SerializerMethodField(help_text="More about that.")

    class Meta:
        model = Event
        fields = ("id", "index", "type", "outcome", "detail", "lp_conversation_id", "message", "at")
        read_only_fields = fields

    def get_detail(self, row: Event) -> str:
        # Sentences of ours, but for one: beside what was applied stands the reason that the sender gave, in its words.
        return masked(row.detail, self.context, row) if row.outcome == EventOutcome.APPLIED else row.detail


class DeliverySerializer(BrandFactsSerializer[Delivery]):
    installation = serializers.UUIDField(
        source="installation_id",
        allow_null=True,
        help_text="Id of the app installation whose secret signed it; null where a channel's did.",
    )
    channel = serializers.UUIDField(
        source="channel_id",
        allow_null=True,
        help_text="Id of the channel whose secret signed it; null where an app installation's did.",
    )
    secret = serializers.UUIDField(
        source="secret_id", help_text="Id of the secret that verified it, as its installation or channel lists them."
    )
    sha256 = Digest(help_text="SHA-256 of the body as it arrived, in hexadecimal digits.")

    class Meta:
        model = Delivery
        fields = (
            "id",
            "brand",
            "installation",
            "channel",
            "state",
            "received_at",
            "processed_at",
            "secret",
            "sha256",
            "size",
            "request_identity",
            "start_count",
            "detail",
            "created_at",
        )
        read_only_fields = fields
        links = links_to("brand", "installation", "channel")


class DeliveryWithEventsSerializer(DeliverySerializer):
    """One delivery is told with its events: there are two hundred at most."""

    events = EventSerializer(many=True, read_only=True, help_text="What was in it, in its order, and what each did.")

    class Meta:
        model = Delivery
        fields = (*DeliverySerializer.Meta.fields, "events")
        read_only_fields = fields
        links = DeliverySerializer.Meta.links


__all__ = ["DeliverySerializer", "DeliveryWithEventsSerializer", "EventSerializer"]
