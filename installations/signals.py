"""What other packages may want to know of connectors. Receivers run in the transaction of the act."""

from __future__ import annotations

from django.dispatch import Signal

# Sent when an installation or a channel may send again. installation_id or channel_id tells which.
sending_resumed = Signal()
