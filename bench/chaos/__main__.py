"""
`make chaos`, or a part of it: `make chaos ONLY=lost,acks`. LONG=1: the long form. SEED=…: the schedule of a former run.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path

from bench.chaos import plan
from bench.chaos.report import Row, publish
from bench.chaos.sizes import LONG, SHORT, Size


def main() -> int:
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    size = LONG if os.environ.get("LONG") == "1" else SHORT
    for name in only:
        if name not in plan.NAMES:
            print(f"ONLY={name} is not a part; there are: {', '.join(plan.NAMES)}.", file=sys.stderr)
            return 2
        if name in plan.LONG_ONLY and not size.is_long:
            print(f"{name} is a part of the long form: LONG=1 make chaos ONLY={name}.", file=sys.stderr)
            return 2
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    # Resolved before the run, which changes nothing in the environment of this process.
    kept = Path(os.environ.get("DATA_DIR", "var")).resolve() / "chaos.json"
    print(f"SEED={seed}", flush=True)
    rows = asyncio.run(_run(seed, size, only))
    print(f"\nSEED={seed}")
    return 0 if publish(rows, path=kept) else 1


async def _run(seed: str, size: Size, only: list[str]) -> list[Row]:
    """Ended by SIGTERM like by Ctrl-C: nothing of the site stays behind."""
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await plan.run(seed=seed, size=size, only=only)


if __name__ == "__main__":
    sys.exit(main())
