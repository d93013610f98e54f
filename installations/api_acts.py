"""What a program does over REST to an app installation."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema

from access.rest.acting import ActView
from core.actor import Actor
from installations import pausing, services
from installations.models import AppInstallation
from installations.serializers import InstallationSerializer


class _InstallationAct(ActView):
    resource = "installations"
    basename = "installation"
    queryset = AppInstallation.objects.prefetch_related("secrets")
    serializer_class = InstallationSerializer
    refusals = (pausing.NotPossible,)


@extend_schema(summary="Pause an app installation")
class PauseInstallation(_InstallationAct):
    """Stop sending in both directions. Webhooks are still stored, so nothing is lost; it waits."""

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        services.pause_active(row_id, actor=actor, reason=reason)


@extend_schema(summary="Resume an app installation")
class ResumeInstallation(_InstallationAct):
    """Send again. What has waited goes out in its order."""

    def act(self, row_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
        services.resume_paused(row_id, actor=actor, reason=reason)
