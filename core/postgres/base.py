"""Django's PostgreSQL backend over connections that need not wait for ever; the ENGINE of DATABASES names it."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen, PQGenConn

from core.postgres import patience

RV = TypeVar("RV")


class Connection(psycopg.Connection[Any]):
    """Hangs up on a silent server when the patience of the work at hand ends."""

    def wait(self, gen: PQGen[RV], interval: float = patience.TICK_S, timeout: float | None = None) -> RV:
        """Everything that psycopg waits for on an open connection passes here."""
        try:
            return super().wait(patience.watched(gen), interval, timeout)
        except patience.Silent:
            # Whatever the server may still say to it, nobody could tell which question it answers.
            self.pgconn.finish()
            raise

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Any]:
        # psycopg's own timeout for connecting is two seconds at least.
        return patience.watched(super()._connect_gen(conninfo))


class DatabaseWrapper(base.DatabaseWrapper):
    """Differs from Django's in what it waits for."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        """Without Django's pool and isolation levels, which this site does not use."""
        self.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        if not patience.is_limited():
            return Connection.connect(**conn_params)
        with patience.limited(patience.QUICK_S):
            return Connection.connect(**conn_params)

    def is_usable(self) -> bool:
        """Also asked at a request's begin and end, when no limit holds, and by workers before they go on."""
        with patience.limited(patience.QUICK_S):
            return bool(super().is_usable())
