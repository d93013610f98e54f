"""
Several runs on one machine take turns where time is measured, so that none spoils the others' figures.

What mostly waits may run beside its like. What measures time runs beside nothing that takes turns; a site that starts,
or that waits for its backup to grow old, takes none.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.chaos.site import say

BESIDE_ITS_LIKE, ALONE, AT_ANY_TIME = fcntl.LOCK_SH, fcntl.LOCK_EX, 0
_LOOK_EVERY_S = 1.0


@asynccontextmanager
async def turn(kind: int) -> AsyncIterator[None]:
    """Wait for a turn of this kind, and have it meanwhile. It ends with this process at the latest."""
    if kind == AT_ANY_TIME:
        yield
        return
    with Path(tempfile.gettempdir(), f"connector-site-chaos.{os.getuid()}.lock").open("w") as lock:
        if not (has_turn := _is_locked(lock.fileno(), kind)):
            say("waiting for a turn: another run of this kit measures")
        while not has_turn:
            await asyncio.sleep(_LOOK_EVERY_S)
            has_turn = _is_locked(lock.fileno(), kind)
        yield


def _is_locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
