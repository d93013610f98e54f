"""Rules that break things on purpose, set over `PUT /_simulator/faults`."""

import asyncio
import random
from dataclasses import asdict, dataclass, field
from typing import Any

from .checks import anything, is_list, is_text, is_text_map, members, number, one_of, whole
from .errors import ControlError
from .state import State

PLACES = ("send", "conversation", "token", "consumer", "domain", "upload", "download", "webhook", "phone")
KINDS = (
    "status",
    "delay",
    "lose_answer",
    "reset",
    "garbage",
    "slow_body",
    "duplicate",
    "reorder",
    "hold",
)
WEBHOOK_KINDS = ("duplicate", "reorder", "hold")

_SHAPE = {
    "on": one_of(*PLACES),
    "do": one_of(*KINDS),
    "account": is_text,
    "status": whole(200, 599),
    "headers": is_text_map,
    "seconds": number(0, 3600),
    "rate": number(0, 1),
    "times": whole(1, 1_000_000_000),
    "body": anything,
}


@dataclass
class Rule:
    """`rate` is the share of fitting requests, `times` how often the rule may still apply (None: for ever)."""

    on: str
    do: str
    account: str | None = None
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    rate: float = 1.0
    times: int | None = None
    body: Any = None
    applied: int = 0

    @property
    def used_up(self) -> bool:
        return self.times is not None and self.applied >= self.times


def _parse_rule(raw: Any) -> Rule:
    fields = members(raw, _SHAPE, required=("on", "do"), where="a fault rule")
    if fields["do"] in ("duplicate", "reorder") and fields["on"] != "webhook":
        raise ControlError(f'Use {fields["do"]!r} with "on": "webhook" only.')
    if fields["do"] == "status" and "status" not in fields:
        raise ControlError("Add 'status' to a fault rule that does \"status\".")
    return Rule(**fields)


class Faults:
    """The rules in their order: the first that fits applies."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.changed = asyncio.Event()
        self.rules = [Rule(**raw) for raw in state.table("faults").get("rules", [])]

    def replace(self, raw: Any) -> list[dict[str, Any]]:
        expected = is_list(raw)
        if expected:
            raise ControlError("Send the fault rules as a JSON list; an empty one removes all.")
        self._set([_parse_rule(one) for one in raw])
        return self.listed()

    def clear(self) -> None:
        self._set([])

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]

    def take(self, *, on: str, account: str | None, leave_out: tuple[str, ...] = ()) -> Rule | None:
        """Return the rule that applies now and count it."""
        for rule in self.rules:
            if rule.on != on or rule.used_up or rule.do in leave_out:
                continue
            if rule.account is not None and rule.account != account:
                continue
            if rule.rate < 1 and random.random() >= rule.rate:
                continue
            rule.applied += 1
            if rule.times is not None:
                self._save()
            return rule
        return None

    async def lifted(self, rule: Rule) -> None:
        """Wait until the rule is gone: removed, replaced, or its seconds over."""

        async def gone() -> None:
            while any(rule is one for one in self.rules):
                await self.changed.wait()

        try:
            await asyncio.wait_for(gone(), rule.seconds)
        except TimeoutError:
            return

    def _set(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._save()
        self.changed.set()
        self.changed = asyncio.Event()

    def _save(self) -> None:
        self._state.put("faults", "rules", self.listed() or None)
