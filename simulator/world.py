"""The parts of the simulator, made once and handed to every handler."""

import asyncio
from pathlib import Path

from .delivery import Notifier
from .faults import Faults
from .gateway import RequestLog
from .messaging import Messaging
from .phones import Phones
from .state import State
from .tokens import Keys


class World:
    """Everything one running simulator knows and does."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.keys = Keys(data_dir / "keys")
        self.state = State(data_dir)
        self.faults = Faults(self.state)
        self.requests = RequestLog(data_dir)
        self.notifier = Notifier(state=self.state, faults=self.faults, data_dir=data_dir)
        self.messaging = Messaging(state=self.state, notifier=self.notifier)
        self.phones = Phones(state=self.state, data_dir=data_dir)
        self.stopping = asyncio.Event()

    def start(self) -> None:
        """Begin to deliver; needs the running event loop."""
        self.notifier.start()

    async def stop(self) -> None:
        self.stopping.set()
        await self.notifier.stop()
        await self.phones.stop()

    async def reset(self) -> None:
        """Forget everything but the keys."""
        await self.notifier.reset()
        self.state.clear()
        self.faults.clear()
        self.requests.clear()
        self.phones.reset()
