"""What the REST API tells of the trail."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.rest.facts import FactsSerializer, links_to
from audit.actions import ACTIONS
from audit.models import ActorKind, AuditEntry

# Kinds of subjects that the API has a list of: model name to the name of that list.
_LISTS = {
    "brand": "brand",
    "account": "account",
    "appinstallation": "installation",
    "channel": "channel",
    "consumer": "consumer",
    "conversation": "conversation",
    "message": "message",
    "dispatch": "dispatch",
    "delivery": "delivery",
    "auditentry": "audit-log",
}


class AuditEntrySerializer(FactsSerializer[AuditEntry]):
    brand = serializers.UUIDField(
        source="brand_id", allow_null=True, help_text="Id of the brand it concerns; null for the whole site."
    )
    sentence = serializers.SerializerMethodField(help_text="The action as a person reads it, behind the actor's name.")
    actor_kind = serializers.ChoiceField(choices=ActorKind.choices, help_text="What kind of actor did it.")
    actor = serializers.CharField(source="actor_id", help_text="Id of the person or the key; empty for others.")
    data = serializers.DictField(  # type: ignore[assignment]  # the library takes it off the class
        help_text="Before and after, without secrets: [before, after] where both are known."
    )

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "brand",
            "at",
            "action",
            "sentence",
            "actor_kind",
            "actor",
            "actor_name",
            "address",
            "subject_type",
            "subject_id",
            "subject_name",
            "data",
            "reason",
            "created_at",
            "correlation_id",
        )
        read_only_fields = fields
        links = links_to("brand")

    def get_sentence(self, row: AuditEntry) -> str:
        return ACTIONS.get(row.action, row.action)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string", "format": "uri"}})
    def get_links(self, row: AuditEntry) -> dict[str, str]:
        links = super().get_links(row)
        if row.subject_id and row.subject_type in _LISTS:
            links["subject"] = f"{self._address(_LISTS[row.subject_type])}{row.subject_id}/"
        return links


__all__ = ["AuditEntrySerializer"]
