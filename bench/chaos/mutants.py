"""
Shows that the kit can fail: `python -m bench.chaos.mutants [name]`.

For each promise one small change that breaks it, made in a copy of the committed tree; the scenario runs there, and the
row has to say so. A change whose place is gone, because the code has moved on, is reported and wants a new one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.processes import ROOT


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """
    only: the scenario to run. breaks: the beginning of a promise of which a row must not be held. also: a second change
    (file, old, new), where two protections stand behind each other.
    """

    name: str
    file: str
    old: str
    new: str
    only: str
    breaks: str
    also: tuple[str, str, str] | None = None


MUTANTS = [
    Mutant(
        name="said yes before it was stored",
        file="webhooks/views.py",
        old='return self._refuse(503, "not_stored", "The request was not stored. Send it again.")',
        new='return Response({"delivery": ""})',
        only="lost",
        breaks="lost after a 200",
    ),
    Mutant(
        name="the ledger forgets who was first",
        file="webhooks/ledger.py",
        old="DO UPDATE SET seen_at = seen.seen_at",
        new="DO UPDATE SET delivery_id = EXCLUDED.delivery_id",
        only="repeats",
        breaks="second effects",
    ),
    Mutant(
        name="what has to be tried again lets others pass",
        file="conversations/lanes.py",
        old='.order_by("lane_id", "position")\n        .distinct',
        new='.order_by("lane_id", "attempt_count", "position")\n        .distinct',
        only="order",
        breaks="inversions in a lane, towards the channel",
    ),
    Mutant(
        name="nothing waits for what is missing",
        file="webhooks/notified.py",
        old="if self._gap_wait_s and gaps.must_wait(conversation, event):",
        new="if False:",
        only="order",
        breaks="inversions in a lane, towards the channel",
    ),
    Mutant(
        name="what is unanswered is simply sent again",
        file="conversations/outcomes.py",
        old="return Judgement(verdict=Verdict.UNKNOWN, delay_s=wait_s)",
        new="return Judgement(verdict=Verdict.RETRY, delay_s=0.1)",
        only="doubt",
        breaks="silent duplicates towards LivePerson",
    ),
    Mutant(
        name="what is unanswered is dropped",
        file="conversations/outcomes.py",
        old="return Judgement(verdict=Verdict.UNKNOWN, delay_s=wait_s)",
        new="return Judgement(verdict=Verdict.DROP)",
        only="doubt",
        breaks="silent losses towards LivePerson",
    ),
    Mutant(
        name="the id changes from try to try",
        file="adapters/custom.py",
        old="standard_webhooks.sign(message_id=signal.id,",
        new="standard_webhooks.sign(message_id=f'{signal.id}-{now.timestamp()}',",
        only="doubt",
        breaks="silent duplicates towards the channel",
    ),
    Mutant(
        name="no echo is recognised",
        file="conversations/evidence.py",
        old="    in_doubt = _in_doubt(conversation, lp_dialog_id, sequence, same).first()\n",
        new="    in_doubt = None\n",
        only="doubt",
        breaks="unknown and arrived",
    ),
    Mutant(
        name="given up after three tries",
        file="core/retry.py",
        old="(5, 10, 15, 120, 240, 480, 960, 1800, 3600, 7200, 14400)",
        new="(1, 1)",
        only="outage",
        breaks="LivePerson answers 500",
    ),
    Mutant(
        name="a dead worker keeps its lanes for minutes",
        file="conversations/lanes.py",
        old="LEASE_S = 20",
        new="LEASE_S = 120",
        only="resume",
        breaks="interrupted work resumes",
    ),
    Mutant(
        name="a killed idle process is not looked after",
        file="connector_site/cluster.py",
        old="            self._leave(killed=process)\n",
        new="            pass\n",
        # The heartbeat finds it out as well: both have to be gone.
        also=("connector_site/heartbeat.py", "ALIVE_WITHIN_S = 15.0", "ALIVE_WITHIN_S = 3600.0"),
        only="resume",
        breaks="resume comes to its end",  # nothing is ever done again
    ),
    Mutant(
        name="a webhook waits as long as the database likes",
        file="core/postgres/patience.py",
        old="QUICK_S = 0.7",
        new="QUICK_S = 60.0",
        only="acks",
        breaks="ack during a single fault",
    ),
    Mutant(
        name="Retry-After is not read",
        file="core/retry.py",
        old="    return min(max(wait_s, 0.0), RETRY_AFTER_CAP_S)",
        new="    return None",
        only="discipline",
        breaks="calls before Retry-After",
    ),
    Mutant(
        name="a signature that is no ASCII is not expected",
        file="webhooks/signatures.py",
        old='header.encode("latin-1", "replace")',
        new='header.encode("ascii")',
        only="input",
        breaks="5xx but",
    ),
    Mutant(
        name="whatever has a signature is taken",
        file="webhooks/signatures.py",
        old="    return in_base64 | in_hex",
        new="    return True",
        only="input",
        breaks="… forged requests",
    ),
    Mutant(
        name="a call may last as long as something comes",
        file="core/http_transport.py",
        old="left_s = self.deadline_at - time.monotonic()",
        new="left_s = self.deadline_s",
        only="discipline",
        breaks="longest call",
    ),
    Mutant(
        name="what was restored for a channel is sent at once",
        file="conversations/services/held_lanes.py",
        old="WHERE held_at IS NULL AND EXISTS (",
        new="WHERE held_at IS NULL AND direction = 'TO_LIVEPERSON' AND EXISTS (",
        only="restore",
        breaks="… what left before anybody released it",
    ),
    Mutant(
        name="what was restored is sent at once",
        file="conversations/services/held_lanes.py",
        old="WHERE held_at IS NULL AND EXISTS (",
        new="WHERE false AND EXISTS (",
        only="restore",
        breaks="… what left before anybody released it",
    ),
    Mutant(
        name="a release takes what is in doubt for sent",
        file="conversations/services/held_lanes.py",
        old="in_doubt.update(state=DispatchState.QUEUED,",
        new="in_doubt.update(state=DispatchState.SENT,",
        only="restore",
        breaks="restore of a backup 10 s old",
    ),
    Mutant(
        name="a release marks nothing",
        file="conversations/services/held_lanes.py",
        old="messages.update(possible_duplicate=True)",
        new="messages.update(possible_duplicate=False)",
        only="restore",
        breaks="… doubled in silence",
    ),
    Mutant(
        name="what a retention ended stays",
        file="webhooks/retention.py",
        old="yield from _pages(BODIES, partial(remove_bodies, before=today))",
        new="yield from ()",
        only="repeats",
        breaks="… bodies that outlived",
    ),
    Mutant(
        name="a poisoned delivery is never set aside",
        file="webhooks/applying.py",
        old="MAX_STARTS = 3",
        new="MAX_STARTS = 8",
        only="poison",
        breaks="starts of a poisoned delivery",
    ),
]


def main() -> int:
    wanted = [one for one in MUTANTS if len(sys.argv) < 2 or sys.argv[1] in one.name]
    if not wanted:
        print(f"No change has {sys.argv[1]!r} in its name; there are: {', '.join(one.name for one in MUTANTS)}.")
        return 2
    survivors = [one.name for one in wanted if not _is_caught(one)]
    print(
        f"{len(wanted) - len(survivors)} of {len(wanted)} caught"
        + (f"; not: {', '.join(survivors)}" if survivors else "")
    )
    return 1 if survivors else 0


def _is_caught(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="connector-site-mutant-") as folder:
        tree = Path(folder) / "tree"
        committed = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(committed)) as archive:
            archive.extractall(tree, filter="data")
        for file, old, new in [(mutant.file, mutant.old, mutant.new), *([mutant.also] if mutant.also else [])]:
            text = (tree / file).read_text()
            if old not in text:
                print(f"{mutant.name}: its place in {file} is gone", flush=True)
                return False
            (tree / file).write_text(text.replace(old, new))
        inherited = {name: value for name, value in os.environ.items() if name != "LONG"}
        kit = subprocess.Popen(
            [sys.executable, "-m", "bench.chaos"],
            cwd=tree,
            env=inherited | {"ONLY": mutant.only, "DATA_DIR": folder, "SEED": os.environ.get("SEED", "mutants")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _, said = kit.communicate()
        except BaseException:
            kit.terminate()  # it takes its site along
            kit.wait()
            raise
        kept = Path(folder) / "chaos.json"
        rows = json.loads(kept.read_text()) if kept.exists() else []
    broken = {row["promise"]: row["figure"] for row in rows if row["held"] is False}
    hits = {promise: figure for promise, figure in broken.items() if promise.startswith(mutant.breaks)}
    print(f"{mutant.name}: {hits or f'NOT CAUGHT; broken were {broken}'}", flush=True)
    if not rows:
        print(said[-1500:], flush=True)
    return bool(hits)


if __name__ == "__main__":
    sys.exit(main())
