"""`make bench`, or a part of it: `make bench ONLY=send`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench import flood, latency, send_path
from bench.report import Figure, publish
from bench.site import running_site, say

PARTS = {"send": send_path.measure, "latency": latency.measure, "flood": flood.measure}


def main() -> int:
    only = os.environ.get("ONLY", "")
    if only and only not in PARTS:
        print(f"ONLY={only} is not a part; there are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    kept = Path(os.environ.get("DATA_DIR", "var")).resolve() / "bench.json"
    figures: list[Figure] = []
    with running_site() as site:
        for name, measure in PARTS.items():
            if only in ("", name):
                say(f"{name}:")
                figures += measure(site)
    return 0 if publish(figures, path=kept) else 1


if __name__ == "__main__":
    sys.exit(main())
