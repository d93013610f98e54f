"""The trail: who did what to which object, append-only."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models

from access.models import Brand
from core.ids import new_id


class ActorKind(models.TextChoices):
    PERSON = "PERSON", "Person"
    KEY = "KEY", "API key"
    COMMAND = "COMMAND", "Command line"
    SYSTEM = "SYSTEM", "The system itself"


class AppendOnly(models.QuerySet["AuditEntry"]):
    """
    Entries are written one by one, and read.

    Refused here for the sake of whoever writes the code; what nobody gets around is the database's own guard.
    """

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("Audit entries cannot be changed.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("Audit entries cannot be changed.")

    def delete(self) -> NoReturn:
        raise TypeError("Audit entries cannot be deleted.")


class AuditEntry(models.Model):
    """
    One administrative act, written in the transaction of the act itself.

    Names of actor and subject are copied, not referenced: the trail outlives what it speaks of. Holds no secrets.
    """

    brand_path: ClassVar[str] = "brand"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="Identifier, ordered by time.")
    at = models.DateTimeField(auto_now_add=True, db_index=True, help_text="When it was done.")
    action = models.CharField(max_length=64, db_index=True, help_text="What was done, such as brand.created.")
    brand = models.ForeignKey(
        Brand,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The brand it concerns; empty for the whole site.",
    )
    actor_kind = models.CharField(max_length=16, choices=ActorKind, help_text="What kind of actor did it.")
    actor_id = models.CharField(max_length=64, blank=True, help_text="Identifier of the person or the key.")
    actor_name = models.CharField(max_length=150, help_text="Name of the actor at that time.")
    address = models.GenericIPAddressField(null=True, blank=True, help_text="Network address the act came from.")
    subject_type = models.CharField(max_length=64, help_text="Kind of the object it was done to.")
    subject_id = models.CharField(max_length=64, blank=True, help_text="Identifier of that object.")
    subject_name = models.CharField(max_length=200, blank=True, help_text="Name of that object at that time.")
    data = models.JSONField(default=dict, help_text="Before and after, without secrets.")
    reason = models.CharField(max_length=500, blank=True, help_text="Why, in the actor's words.")
    correlation_id = models.CharField(max_length=64, blank=True, help_text="Ties the act to log lines.")

    objects = AppendOnly.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-id",)
        # What leads to many ends in the id: it is read newest first, page by page.
        indexes = [
            models.Index(fields=["brand", "-id"], name="audit_brand"),
            models.Index(fields=["subject_id", "-id"], name="audit_of_subject"),
            models.Index(fields=["actor_id", "-id"], name="audit_of_actor"),
            models.Index(fields=["correlation_id"], condition=~models.Q(correlation_id=""), name="audit_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("An audit entry cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An audit entry cannot be deleted.")


class FailedSignIns(models.Model):
    """The failed sign-ins of an hour, of which the trail names only the first ones; goes once the trail has the sum."""

    hour = models.DateTimeField(primary_key=True, help_text="When the hour began.")
    wrong = models.PositiveIntegerField(default=0, help_text="Attempts whose name and password did not fit.")
    refused = models.PositiveIntegerField(default=0, help_text="Attempts that were not looked at, after too many.")
    named = models.PositiveIntegerField(default=0, help_text="Entries of the trail that name one of them.")

    def __str__(self) -> str:
        return f"failed sign-ins from {self.hour:%Y-%m-%d %H:%M}"
