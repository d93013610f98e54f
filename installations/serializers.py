"""
What the REST API tells of connectors: how they are set up, and which secrets they have had since when.

No secret is among it, in no form: a secret is named by its id, as deliveries name the one that verified them.
"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.rest.facts import links_to
from access.rest.serializers import BrandFactsSerializer
from adapters.registry import get_adapter
from core.errors import ConfigurationError
from installations.models import Account, AppInstallation, Channel, ChannelSecret, InstallationSecret


class AccountSerializer(BrandFactsSerializer[Account]):
    class Meta:
        model = Account
        fields = ("id", "brand", "lp_account_id", "name", "domain_api", "created_at")
        read_only_fields = fields
        links = links_to("brand")


class InstallationSecretSerializer(serializers.ModelSerializer[InstallationSecret]):
    class Meta:
        model = InstallationSecret
        fields = ("id", "created_at", "retired_at")
        read_only_fields = fields


class InstallationSerializer(BrandFactsSerializer[AppInstallation]):
    account = serializers.UUIDField(source="account_id", help_text="Id of the LivePerson account.")
    features = serializers.ListField(
        child=serializers.CharField(), help_text="What the connector announces to LivePerson."
    )
    secrets = InstallationSecretSerializer(
        many=True, read_only=True, help_text="Its client secrets, newest first: since when each was valid, until when."
    )

    class Meta:
        model = AppInstallation
        fields = (
            "id",
            "brand",
            "account",
            "client_id",
            "name",
            "state",
            "state_reason",
            "paused_for",
            "state_changed_at",
            "signature_policy",
            "unknown_policy",
            "features",
            "campaign_id",
            "engagement_id",
            "skill_id",
            "tested_at",
            "test_passed",
            "test_detail",
            "secrets",
            "created_at",
        )
        read_only_fields = fields
        links = links_to("brand", "account")


class ChannelSecretSerializer(serializers.ModelSerializer[ChannelSecret]):
    class Meta:
        model = ChannelSecret
        fields = ("id", "name", "created_at", "retired_at")
        read_only_fields = fields


class ChannelSerializer(BrandFactsSerializer[Channel]):
    account = serializers.UUIDField(source="account_id", help_text="Id of the LivePerson account that it serves.")
    installation = serializers.UUIDField(
        source="installation_id", help_text="Id of the app installation through which it speaks now."
    )
    former_installation = serializers.UUIDField(
        source="former_installation_id",
        allow_null=True,
        help_text="Id of the app installation before that one; null where there was none.",
    )
    sends_to = serializers.SerializerMethodField(
        help_text="Host that what agents write is sent to; empty where none is set."
    )
    secrets = ChannelSecretSerializer(
        many=True, read_only=True, help_text="Its secrets, newest first: since when each was valid, until when."
    )

    class Meta:
        model = Channel
        fields = (
            "id",
            "brand",
            "account",
            "installation",
            "former_installation",
            "moved_at",
            "type",
            "name",
            "prefix",
            "shares_prefix",
            "state",
            "state_reason",
            "paused_for",
            "sends_to",
            "secrets",
            "created_at",
        )
        read_only_fields = fields
        links = {
            **links_to("brand", "account", "installation"),
            "former_installation": ("installation", "former_installation_id"),
        }

    @extend_schema_field(serializers.CharField())
    def get_sends_to(self, row: Channel) -> str:
        # The host alone: people put keys into addresses.
        try:
            host = get_adapter(row.type).upstream(row.config)
        except (ValueError, ConfigurationError):  # an address that nobody judged; a type that this site no longer has
            return ""
        return host if host != row.type else ""


__all__ = ["AccountSerializer", "ChannelSerializer", "InstallationSerializer"]
