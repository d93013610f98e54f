"""The people who write on a channel."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from access.models import BrandOwned, Holdable
from core.encryption import context_of
from core.vault import key_ring
from installations.models import Account, AppInstallation, Channel


class Consumer(BrandOwned, Holdable):
    """
    A person, as one LivePerson account knows them: the channel's prefix, a colon, and the channel's own id.

    Channels that share a prefix share the consumer; answers go to the channel last written on.
    """

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, db_index=False, related_name="+", help_text="The LivePerson account."
    )
    channel = models.ForeignKey(
        Channel, on_delete=models.PROTECT, db_index=False, related_name="+",
        help_text="The channel last written on.",
    )  # fmt: skip
    ext_consumer_id = models.CharField(max_length=300, help_text="Our id of the consumer, as LivePerson is told it.")
    channel_consumer_id = models.CharField(max_length=256, help_text="The channel's own id of the consumer.")
    search_hash = models.BinaryField(db_index=True, help_text="Keyed hash of the channel's id, for exact search.")
    lp_consumer_id = models.CharField(max_length=256, blank=True, help_text="LivePerson's id of the consumer.")
    name = models.CharField(max_length=256, blank=True, help_text="Name that the channel told.")
    profile = models.JSONField(default=dict, blank=True, help_text="What the channel told about the consumer.")
    is_typing = models.BooleanField(
        default=False, help_text="Whether LivePerson was told that the consumer types; it has to be told of the end."
    )
    created_at = models.DateTimeField(auto_now_add=True, help_text="When the consumer first wrote.")
    last_seen_at = models.DateTimeField(null=True, blank=True, help_text="When the consumer last wrote.")
    blocked_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when what the consumer writes is stored and not carried; empty: it is."
    )
    blocked_by = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="Who blocked the consumer."
    )
    block_reason = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="Why the consumer is blocked."
    )
    erased_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the person was erased: the row stays for its facts, and stands for nobody any more.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "ext_consumer_id"], name="consumer_once_per_account"),
        ]
        indexes = [
            models.Index(
                fields=["account", "lp_consumer_id"], condition=~models.Q(lp_consumer_id=""), name="consumer_lp_id"
            ),
            models.Index(fields=["brand"], condition=models.Q(held_at__isnull=False), name="consumer_held"),
            # Newest first; a consumer is written once and then updated, one of them to twenty messages.
            models.Index(fields=["brand", "-id"], name="consumer_brand"),
            models.Index(fields=["account", "-id"], name="consumer_account"),
            models.Index(fields=["channel", "-id"], name="consumer_channel"),
        ]

    def __str__(self) -> str:
        return self.name or self.channel_consumer_id or "an erased consumer"

    @property
    def is_blocked(self) -> bool:
        return self.blocked_at is not None

    @property
    def nameless(self) -> Consumer:
        """The same consumer without name and number, for records that outlive the person's data."""
        return Consumer(pk=self.pk, brand_id=self.brand_id, name=f"consumer {self.pk}")


class ConsumerToken(models.Model):
    """The ConsumerJWS of a consumer for one app installation. LivePerson lets it live for ever."""

    brand_path: ClassVar[str] = "consumer__brand"

    consumer = models.ForeignKey(
        Consumer, on_delete=models.CASCADE, related_name="tokens", help_text="Whose token it is."
    )
    installation = models.ForeignKey(
        AppInstallation, on_delete=models.CASCADE, related_name="+", help_text="For which app installation."
    )
    sealed = models.BinaryField(help_text="The ConsumerJWS, encrypted and bound to consumer and installation.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When LivePerson issued it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consumer", "installation"], name="consumer_token_once"),
        ]

    def __str__(self) -> str:
        return f"ConsumerJWS of {self.consumer_id}"

    def keep(self, token: str) -> None:
        """Encrypt; the row is not saved by this."""
        self.sealed = key_ring().seal(token.encode(), context=self.seal_context)

    def reveal(self) -> str:
        """The token itself, for use in a call. Raises core.encryption.SealBroken."""
        return key_ring().open(bytes(self.sealed), context=self.seal_context).decode()

    @property
    def seal_context(self) -> str:
        """The place that the sealed value is bound to: moved to another row it does not open."""
        # Bound to what it stands for, not to the row's number, which is unknown before the first save.
        return context_of(self._meta.db_table, f"{self.consumer_id}|{self.installation_id}", "sealed")
