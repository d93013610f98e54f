"""`make bench`, or a part of it: `make bench ONLY=send`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench import export, flood, latency, send_path
from bench.lists import admin
from bench.lists import measure as lists
from bench.report import Figure, publish
from bench.site import running_site, say

PARTS = {"send": send_path.measure, "latency": latency.measure, "flood": flood.measure}
# These bring up what they need, where no worker touches the rows.
ALONE = {"lists": lists.measure, "admin": admin.measure, "export": export.measure}


def main() -> int:
    only = os.environ.get("ONLY", "")
    if only and only not in PARTS | ALONE:
        print(f"ONLY={only} is not a part; there are: {', '.join(PARTS | ALONE)}.", file=sys.stderr)
        return 2
    kept = Path(os.environ.get("DATA_DIR", "var")).resolve() / "bench.json"
    figures: list[Figure] = []
    if only not in ALONE:
        with running_site() as site:
            for name, measure in PARTS.items():
                if only in ("", name):
                    say(f"{name}:")
                    figures += measure(site)
    for name, measure_alone in ALONE.items():
        if only in ("", name):
            say(f"{name}:")
            figures += measure_alone()
    return 0 if publish(figures, path=kept) else 1


if __name__ == "__main__":
    sys.exit(main())
