"""Who acts: a person, a program with an API key, a command on the server, or the system by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Actor:
    kind: Literal["PERSON", "KEY", "COMMAND", "SYSTEM"]
    name: str
    id: str = ""
    address: str | None = None


COMMAND = Actor(kind="COMMAND", name="command line")
SYSTEM = Actor(kind="SYSTEM", name="system")
