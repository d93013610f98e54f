"""What a program does over REST to a dispatch that came to no good end."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema

from access.rest.acting import ActView
from conversations.models import Dispatch
from conversations.serializers import DispatchSerializer
from conversations.services import operations
from core.actor import Actor


class _DispatchAct(ActView):
    resource = "dispatches"
    basename = "dispatch"
    queryset = Dispatch.objects.select_related("channel")
    serializer_class = DispatchSerializer
    refusals = (operations.NotPossible,)


@extend_schema(summary="Send a dispatch again")
class ResendDispatch(_DispatchAct):
    """Queue a dispatch again at its old place. One that may have arrived is marked as a possible duplicate."""

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        operations.send_again(dispatch_id=row_id, actor=actor, reason=reason)


@extend_schema(summary="Mark a dispatch as sent")
class ResolveDispatch(_DispatchAct):
    """Settle an unknown outcome: somebody has seen that it arrived."""

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        operations.resolve_as_sent(dispatch_id=row_id, actor=actor, reason=reason)


@extend_schema(summary="Drop a dispatch")
class DropDispatch(_DispatchAct):
    """Give a dispatch up: it is not sent, and its lane goes on."""

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        operations.drop(dispatch_id=row_id, actor=actor, reason=reason)
