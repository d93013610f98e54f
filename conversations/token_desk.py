"""The AppJWTs that a worker uses: read from the database, renewed in a thread, never by two at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import transaction

from conversations import calls, lanes
from conversations.turn import ConsumerTokens
from core.errors import ConnectorError, CredentialsRejected, NotSent
from installations import services as installations
from installations import tokens
from installations.connectors import Connector, secrets_of
from installations.tokens import KnownToken
from liveperson.auth import AppJWT

logger = structlog.get_logger(__name__)

WAITING = "waiting_for_token"
_LOOK_AGAIN = timedelta(milliseconds=50)


@dataclass(frozen=True, kw_only=True)
class NoToken:
    """There is no usable token now; look again then."""

    until: datetime
    why: str


class TokenDesk:
    """Belongs to one worker's main thread; only the renewal call itself runs in a thread of the pool."""

    def __init__(self, *, pool: Executor) -> None:
        self._pool = pool
        self.consumer_tokens: ConsumerTokens = {}
        self._known: dict[uuid.UUID, KnownToken] = {}
        self._to_start: list[Callable[[], None]] = []
        self._running: dict[uuid.UUID, tuple[Future[AppJWT], datetime]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a renewal is under way."""
        return bool(self._running or self._to_start)

    @property
    def has_returned(self) -> bool:
        """Whether a renewal has come back."""
        return any(future.done() for future, _ in self._running.values())

    def get(self, connector: Connector, *, now: datetime) -> KnownToken | NoToken:
        """
        The installation's token. Called inside a turn's transaction: a renewal starts when that has committed.

        Raises SealBroken where one is to be asked for with a secret that cannot be opened.
        """
        installation_id = connector.installation.pk
        known = self._known.get(installation_id)
        if known and known.is_fresh(now):
            return known
        if installation_id not in self._running:
            state = tokens.look_up(installation_id, now=now)
            known = state.known
            if known and known.is_fresh(now):
                self._known[installation_id] = known
                return known
            if state.retry_at:
                return known or NoToken(until=state.retry_at, why=state.error_code)
            self._lease(connector, now)
        return known if known and known.expires_at > now else NoToken(until=now + _LOOK_AGAIN, why=WAITING)

    def _lease(self, connector: Connector, now: datetime) -> None:
        # Together: a secret that cannot be opened keeps no lease. Read after it was taken: who adds a secret from now
        # on takes the lease away, and a refusal of the old one does not pause what the new one has mended.
        with transaction.atomic():
            lease = tokens.lease_renewal(connector.installation.pk, now=now)
            if lease is not None:
                secrets = secrets_of(connector.installation)
                self._to_start.append(partial(self._start, connector, secrets, lease))

    def reject(self, installation_id: uuid.UUID, *, generation: int) -> None:
        """LivePerson refused this token."""
        tokens.reject(installation_id, generation=generation)
        known = self._known.get(installation_id)
        if known and known.generation == generation:
            del self._known[installation_id]

    def forget_renewals(self) -> None:
        """The turn that asked for them was rolled back, and the leases with it."""
        self._to_start = []

    def start_renewals(self) -> None:
        """Start what the last turn asked for. Call it outside a transaction."""
        waiting, self._to_start = self._to_start, []
        for start in waiting:
            start()

    def finish_renewals(self, *, now: datetime) -> None:
        """Store what has come back. Call it outside a transaction."""
        for installation_id, (future, lease) in list(self._running.items()):
            if future.done():
                del self._running[installation_id]
                self._finish(installation_id, future, lease, now)

    def _start(self, connector: Connector, secrets: tuple[str, ...], lease: datetime) -> None:
        call = partial(
            calls.renew_app_jwt,
            client=connector.client,
            client_id=connector.installation.client_id,
            secrets=secrets,
        )
        self._running[connector.installation.pk] = (self._pool.submit(call), lease)

    def _finish(self, installation_id: uuid.UUID, future: Future[AppJWT], lease: datetime, now: datetime) -> None:
        try:
            jwt = future.result()
        except ConnectorError as error:
            self._note_failure(installation_id, error, lease, now)
        except Exception as bug:
            logger.exception("token.renewal.broke", installation_id=str(installation_id))
            broke = NotSent(f"An error of our own ({type(bug).__name__}) interrupted the request for an AppJWT.")
            self._note_failure(installation_id, broke, lease, now)
        else:
            tokens.keep(installation_id, lease=lease, token=jwt.token, expires_at=jwt.expires_at)
        # Either way there is something to be decided now, not when the waiting ones would look again.
        lanes.wake(installation_id=installation_id, blocked_by=WAITING)

    def _note_failure(self, installation_id: uuid.UUID, error: ConnectorError, lease: datetime, now: datetime) -> None:
        with transaction.atomic():
            is_noted = tokens.note_failure(installation_id, lease=lease, error=error, now=now)
            if is_noted and isinstance(error, CredentialsRejected):
                installations.pause_for_credentials(installation_id, detail=error.detail)
