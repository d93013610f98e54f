"""
Every test: first those that share nothing, two at a time; then those that drive a whole site.

Prints one closing line over all in pytest's form. Browser tests need Chromium, which is installed where that may be.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
# Each process has a stretch of neighbouring tests, which share what is set up for them.
_TWO_AT_A_TIME = ("-n", "2", "--dist", "worksteal")
# Each of these mostly waits, for its site and for time to pass: they run side by side.
_SIDE_BY_SIDE = ("browser", "end_to_end")
# Its rows are seconds within which a site has to answer while it is broken on purpose.
_ALONE = ("chaos",)
WHOLE_SITE = (*_SIDE_BY_SIDE, *_ALONE)
_NO_TESTS = 5  # pytest's exit status for an empty selection


def main() -> int:
    """Return an exit status."""
    began_at = time.monotonic()
    has_browser = _ensure_chromium()
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / f"{name}.xml" for name in ("parts", *WHOLE_SITE)]
        parts = [*_TWO_AT_A_TIME, "-m", f"not ({' or '.join(WHOLE_SITE)})"]
        statuses = [subprocess.run(_pytest(*parts, report=reports[0]), cwd=ROOT, check=False).returncode]
        by_mark = dict(zip(WHOLE_SITE, reports[1:], strict=True))
        for marks in (_SIDE_BY_SIDE, _ALONE):
            statuses += _side_by_side({mark: by_mark[mark] for mark in marks})
        counts = _counts(reports)
    is_failed = any(status not in (0, _NO_TESTS) for status in statuses)
    if not has_browser:
        print("browser tests NOT RUN: there is no Chromium, and it may not be installed here", flush=True)
        is_failed = is_failed or os.environ.get("CI") == "true"
    is_failed = is_failed or counts["passed"] == 0
    _print_closing_line(counts, is_failed=is_failed, elapsed_s=time.monotonic() - began_at)
    return 1 if is_failed else 0


def _pytest(*arguments: str, report: Path) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments, f"--junitxml={report}"]


def _side_by_side(reports: dict[str, Path]) -> list[int]:
    """Run the tests of each mark in a process of their own. What one says is printed when it ends, undivided."""
    print(f"{' and '.join(reports)}: heard of when they end", flush=True)
    printing = Lock()

    def run(mark: str) -> int:
        # The folder has the mark's name: pytest need not read all the others to pass over them.
        command = _pytest(f"tests/{mark}", "-m", mark, report=reports[mark])
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        with printing:
            sys.stdout.buffer.write(done.stdout)
            sys.stdout.flush()
        return done.returncode

    with ThreadPoolExecutor(max_workers=len(reports)) as sites:
        return list(sites.map(run, reports))


def _counts(reports: list[Path]) -> dict[str, int]:
    counts = {"failed": 0, "passed": 0, "skipped": 0, "errors": 0}
    for report in reports:
        if not report.is_file():
            counts["errors"] += 1
            continue
        for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314 -- pytest wrote it a moment ago
            failed, errors, skipped = (int(suite.get(name, 0)) for name in ("failures", "errors", "skipped"))
            counts["failed"] += failed
            counts["errors"] += errors
            counts["skipped"] += skipped
            counts["passed"] += int(suite.get("tests", 0)) - failed - errors - skipped
    return counts


def _print_closing_line(counts: dict[str, int], *, is_failed: bool, elapsed_s: float) -> None:
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no tests ran"
    verdict = "" if not is_failed or counts["failed"] or counts["errors"] else " (and yet a failure: see above)"
    print(f" {said}{verdict} in {elapsed_s:.2f}s ".center(80, "="), flush=True)


def _ensure_chromium() -> bool:
    if chromium():
        return True
    prefix = _as_root()
    if prefix is None or not shutil.which("apt-get"):
        return False
    print("Installing Chromium for the browser tests", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        if subprocess.run([*prefix, "apt-get", "--quiet", *step], env=environment, check=False).returncode:
            return False
    return chromium() is not None


def chromium() -> str | None:
    """Where the browser is, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _as_root() -> list[str] | None:
    """How to start a program as root; None where that is not ours to do."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
        return sudo
    return None


if __name__ == "__main__":
    sys.exit(main())
