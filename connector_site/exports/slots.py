"""How many long answers a web process gives at once: each holds one of the threads that pages need, too."""

from __future__ import annotations

import threading

from rest_framework.exceptions import ErrorDetail, Throttled

# Of six threads: four are left for everybody else.
MOST_AT_ONCE = 2
_ASK_AGAIN_S = 10

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


class TooManyExports(Throttled):
    """As many exports are on their way as this process gives at once."""

    def __init__(self) -> None:
        super().__init__(wait=_ASK_AGAIN_S)
        self.detail = ErrorDetail(f"Other exports are on their way. Ask again in {_ASK_AGAIN_S} seconds.")


class Slot:
    """One long answer. Raises TooManyExports."""

    def __init__(self) -> None:
        self._is_held = _slots.acquire(blocking=False)
        if not self._is_held:
            raise TooManyExports

    def release(self) -> None:
        """Done more than once, it does no more than once."""
        if self._is_held:
            self._is_held = False
            _slots.release()

    def __del__(self) -> None:
        # An answer that went wrong before it began is closed by nobody.
        self.release()
