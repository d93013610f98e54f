"""Files on their way between a channel and LivePerson."""

from __future__ import annotations

from django.db import models

from access.models import BrandOwned
from conversations.models.messages import Message


class MediaFile(BrandOwned):
    """
    A file of a message, kept on our own disk.

    LivePerson's links live for a minute, so what an agent sends is fetched and served from here.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="files", help_text="The message.")
    index = models.PositiveSmallIntegerField(default=0, help_text="Which of the message's attachments it is, from 0.")
    name = models.CharField(max_length=255, help_text="File name as people read it.")
    mime = models.CharField(max_length=100, help_text="Media type.")
    size = models.PositiveIntegerField(help_text="Bytes.")
    sha256 = models.BinaryField(help_text="SHA-256 of the bytes.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When it was fetched.")
    expires_on = models.DateField(help_text="The last day on which it is kept.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "index"], name="media_once_per_attachment")]
        indexes = [models.Index(fields=["expires_on", "id"], name="media_by_day")]

    def __str__(self) -> str:
        return self.name
