"""What the site as a whole keeps: the sign of life of its workers."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """
    When a task of a cluster last ran; written by the task itself, so that it proves the whole way from doorbell to row.
    """

    cluster = models.CharField(
        primary_key=True, max_length=64, help_text="The cluster that ran the task, named by its supervisor."
    )
    beat_at = models.DateTimeField(db_default=Now(), help_text="By the database's clock, the one clock all share.")

    objects: ClassVar[models.Manager["Heartbeat"]] = models.Manager()

    class Meta:
        verbose_name = "worker heartbeat"

    def __str__(self) -> str:
        return self.cluster
