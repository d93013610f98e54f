"""The kit's own eyes in the database: plain SQL over a connection of its own, past every proxy, and read-only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

_AGAIN_FOR_S = 40.0


class Database:
    def __init__(self, url: str) -> None:
        self._url = url

    async def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """What a query finds; asked again while the database comes back from a crash."""
        return await asyncio.to_thread(self._rows, sql, parameters)

    async def value(self, sql: str, *parameters: Any) -> Any:
        """The first column of the first row; None when there is none."""
        found = await self.rows(sql, *parameters)
        return next(iter(found[0].values())) if found else None

    async def damage(self, sql: str, *parameters: Any) -> int:
        """Change rows behind the site's back, as a bug or a bad disk would. Returns how many."""

        def execute() -> int:
            with psycopg.connect(self._url, autocommit=True) as connection:
                return connection.execute(sql, parameters).rowcount

        return await asyncio.to_thread(execute)

    async def begin_anew(self) -> None:
        """Nothing is left of it: an empty database of the same name."""

        def execute() -> None:
            name = str(conninfo_to_dict(self._url)["dbname"])
            with psycopg.connect(self._url, dbname="postgres", autocommit=True) as connection:
                connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))

        await asyncio.to_thread(execute)

    @asynccontextmanager
    async def locked(self, sql: str, *parameters: Any) -> AsyncIterator[None]:
        """
        Hold whatever locks a statement takes for the length of a block.

        In a thread: who holds a lock now may need our proxies, and so our event loop, to give it back.
        """
        connection = await asyncio.to_thread(psycopg.connect, self._url)
        try:
            await asyncio.to_thread(connection.execute, sql, parameters)
            yield
        finally:
            await asyncio.to_thread(connection.close)

    def _rows(self, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        deadline = time.monotonic() + _AGAIN_FOR_S
        while True:
            try:
                with psycopg.connect(self._url, row_factory=dict_row, connect_timeout=5) as connection:
                    connection.execute("SET TRANSACTION READ ONLY")
                    return connection.execute(sql, parameters).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
