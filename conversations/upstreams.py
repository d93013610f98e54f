"""Which upstream a step calls: what its breaker counts, and whom it holds back."""

from __future__ import annotations

from conversations.models import Step
from installations import breakers
from installations.breakers import UpstreamKey
from installations.connectors import Connector
from liveperson.domains import IDENTITY, SEND_API

_SERVICES = {Step.IDENTIFY: IDENTITY, Step.OPEN: SEND_API, Step.PUBLISH: SEND_API, Step.FETCH: SEND_API}


def upstream_of(step: Step, connector: Connector) -> UpstreamKey | None:
    """None for an upload: it begins at whatever server the consumer's file is on, whose troubles are its own."""
    if step == Step.SEND:
        return breakers.channel(connector.channel, connector.adapter)
    service = _SERVICES.get(step)
    return breakers.liveperson(connector.installation, service) if service else None
