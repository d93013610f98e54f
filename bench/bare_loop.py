"""
The floor of the send path: what anybody would write who only cares for speed.

Each thread takes a request, commits a row that says it begins, makes the call on a kept-alive session, checks the
answer, and commits that it ended. No order, no lanes, no outcomes, no tokens. Prints the seconds that it took.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
import requests

_TABLE = "CREATE TABLE IF NOT EXISTS bench_attempt (id uuid PRIMARY KEY, started_at timestamptz, sequence integer)"
_BEGIN = "INSERT INTO bench_attempt (id, started_at) VALUES (%s, now())"
_END = "UPDATE bench_attempt SET sequence = %s WHERE id = %s"


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    processes, threads = int(sys.argv[2]), int(sys.argv[3])
    with psycopg.connect(**plan["database"], autocommit=True) as connection:
        connection.execute(_TABLE)
        connection.execute("TRUNCATE bench_attempt")
    ready = multiprocessing.Barrier(processes + 1)
    workers = [
        multiprocessing.Process(target=_run, args=(plan["requests"][n::processes], plan["database"], threads, ready))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    print(time.perf_counter() - started)
    sys.exit(any(worker.exitcode for worker in workers))


def _run(todo: list[dict[str, Any]], database: dict[str, str], threads: int, ready: Any) -> None:
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for request in todo:
        waiting.put(request)
    gate = threading.Barrier(threads + 1)
    pool = [threading.Thread(target=_send_all, args=(waiting, database, gate)) for _ in range(threads)]
    for thread in pool:
        thread.start()
    gate.wait()
    ready.wait()
    for thread in pool:
        thread.join()


def _send_all(waiting: queue.SimpleQueue[dict[str, Any]], database: dict[str, str], gate: threading.Barrier) -> None:
    session = requests.Session()
    session.trust_env = False
    with psycopg.connect(**database, autocommit=True) as connection:
        gate.wait()
        while True:
            try:
                request = waiting.get_nowait()
            except queue.Empty:
                return
            row_id = uuid.uuid4()
            connection.execute(_BEGIN, [row_id])
            answer = session.post(
                request["url"], headers=request["headers"], json=_body(request, row_id), timeout=10
            ).json()
            connection.execute(_END, [answer["body"]["sequence"], row_id])


def _body(request: dict[str, Any], row_id: uuid.UUID) -> dict[str, Any]:
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": request["text"]}
    place = {"dialogId": request["conversation"], "conversationId": request["conversation"]}
    return {"kind": "req", "id": str(row_id), "type": "ms.PublishEvent", "body": {**place, "event": event}}


if __name__ == "__main__":
    main()
