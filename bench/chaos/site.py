"""
The site that is broken on purpose: PostgreSQL, web, worker and simulator as children of the kit, with proxies between.

The kit also does what a machine's service manager does: a part that ends is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp

from bench.chaos.app import Apps
from bench.chaos.database import Database
from bench.chaos.ledger import Sender
from bench.chaos.processes import ROOT, Part, children_of, descendants_of, kill, owner_of_port
from bench.chaos.proxy import Proxy
from connector_site import environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres

_READY_WITHIN_S = 60.0


class Site:
    """A running site, everything that stands around it, and the ways to break it."""

    def __init__(self, *, seed: str, data_dir: Path) -> None:
        self.seed = seed
        self.data_dir = data_dir
        self.apps = Apps()
        self.sender = Sender()
        self.proxies: list[Proxy] = []
        self._postgres = EmbeddedPostgres(data_dir)
        # The kernel ties PostgreSQL to the thread that starts it, which therefore has to live as long as we do.
        self._postgres_thread = ThreadPoolExecutor(max_workers=1)
        self.database = Database(self._postgres.url)
        self._socket = str(self._postgres.home.socket_dir / ".s.PGSQL.5432")
        self.web_database = self._proxy("web-database", self._socket)
        self.worker_database = self._proxy("worker-database", self._socket)
        self._ports = dict(zip(("PORT", "SIMULATOR_PORT"), _free_ports(2), strict=True))
        self._rules: list[dict[str, Any]] = []
        self._http: aiohttp.ClientSession | None = None
        self._watch: asyncio.Task[None] | None = None
        self.web = self.worker = self.simulator = Part("unstarted", [], env={}, log=data_dir)

    # --- start and stop ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._postgres_thread, self._start_postgres)
        for proxy in (self.web_database, self.worker_database):
            await proxy.start()
        await self.apps.start()
        await self.sender.start()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        await self.manage("migrate", "--verbosity", "0")
        simulator = ["-m", "simulator", "--port", str(self._ports["SIMULATOR_PORT"]), "--tls-port", "0", "--data-dir"]
        self.simulator = self._part("simulator", [*simulator, str(self.data_dir / "simulator")], self.url_of(None))
        self.web = self._part("web", ["manage.py", "web"], self.url_of(self.web_database))
        self.worker = self._part("worker", ["manage.py", "worker"], self.url_of(self.worker_database))
        for part in self._parts:
            part.start()
        self._watch = asyncio.create_task(self._keep_alive())
        await self.until_ready()

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        for proxy in self.proxies:
            proxy.heal()
        for part in self._parts:
            await asyncio.to_thread(part.stop, grace_s=1.0 if part is self.simulator else 14.0)
        for proxy in self.proxies:
            await proxy.stop()
        await self.apps.stop()
        await self.sender.stop()
        if self._http is not None:
            await self._http.close()
        await asyncio.get_running_loop().run_in_executor(self._postgres_thread, self._postgres.stop)
        self._postgres_thread.shutdown()

    async def until_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        await eventually(self.is_ready, "readiness", within_s=within_s)
        await eventually(lambda: self._answers(f"{self.simulator_url}/_simulator/faults"), "the simulator")

    async def is_ready(self) -> bool:
        return await self._answers(f"{self.url}/readyz")

    async def restart(self, part: Part) -> None:
        """In order, as for a new release."""
        await asyncio.to_thread(part.stop, grace_s=14.0)
        part.start()
        await self.until_ready()

    async def lose(self) -> None:
        """The machine burns down with its database and its files; LivePerson, the apps and the keys do not."""
        for part in (self.web, self.worker):
            await asyncio.to_thread(part.stop, grace_s=0.0)
        await self.database.begin_anew()
        shutil.rmtree(self.data_dir / "files", ignore_errors=True)

    async def come_back(self) -> None:
        """Web and worker start on what was restored."""
        for part in (self.web, self.worker):
            part.start()
        await self.until_ready()

    # --- addresses ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['PORT']}"

    @property
    def port(self) -> int:
        return int(self._ports["PORT"])

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['SIMULATOR_PORT']}"

    def url_of(self, proxy: Proxy | None) -> str:
        """DATABASE_URL through a proxy; None: straight."""
        return (
            self._postgres.url
            if proxy is None
            else f"postgresql://connector_site@127.0.0.1:{proxy.port}/connector_site"
        )

    async def proxy_to_simulator(self, name: str) -> Proxy:
        proxy = self._proxy(name, ("127.0.0.1", int(self._ports["SIMULATOR_PORT"])))
        await proxy.start()
        return proxy

    async def proxy_to_apps(self, name: str) -> Proxy:
        proxy = self._proxy(name, ("127.0.0.1", self.apps.port))
        await proxy.start()
        return proxy

    # --- talking to it -----------------------------------------------------------------------------------------------

    async def manage(self, *arguments: str, stdin: str = "", may_fail: bool = False) -> str:
        """Run a manage.py command as from another shell; returns its standard output."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, str(ROOT / "manage.py"), *arguments],
                env=self._environment(self._postgres.url), cwd=ROOT, input=stdin, capture_output=True, text=True,
                timeout=180, check=False,
            )  # fmt: skip

        done = await asyncio.to_thread(run)
        if done.returncode and not may_fail:
            raise RuntimeError(f"manage.py {arguments[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    async def simulate(self, method: str, path: str, body: Any = None) -> Any:
        """Call the simulator's control API."""
        assert self._http is not None
        url = f"{self.simulator_url}/_simulator/{path}"
        async with self._http.request(method, url, json=body) as answer:
            told = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"The simulator refused {method} {path}: {told}")
            return told

    async def break_liveperson(self, *, account: str, **rule: Any) -> None:
        """Add a fault rule of the simulator for one account; the rules of others stay."""
        self._rules.append({"account": account, **rule})
        await self.simulate("PUT", "faults", self._rules)

    async def mend_liveperson(self, account: str) -> None:
        self._rules = [rule for rule in self._rules if rule["account"] != account]
        await self.simulate("PUT", "faults", self._rules)

    # --- processes ---------------------------------------------------------------------------------------------------

    @property
    def postmaster_pid(self) -> int:
        return int((self._postgres.home.cluster / "postmaster.pid").read_text().splitlines()[0])

    def web_workers(self) -> list[int]:
        return children_of(self.web.pid)

    def cluster(self) -> list[int]:
        """All below the supervisor of the workers: django-q2's main process, guard, pusher, workers, monitor."""
        return self.worker.descendants()

    def database_processes(self) -> list[int]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return descendants_of(self.postmaster_pid)
        return []

    def kill_sender(self, port: int) -> bool:
        """Kill the worker process that has a connection from this port."""
        owner = owner_of_port(port, among=self.cluster())
        return owner is not None and kill(owner)

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> list[Part]:
        return [part for part in (self.web, self.worker, self.simulator) if part.name != "unstarted"]

    def _proxy(self, name: str, upstream: tuple[str, int] | str) -> Proxy:
        proxy = Proxy(name, upstream, seed=self.seed, kill_client=self.kill_sender)
        self.proxies.append(proxy)
        return proxy

    def _part(self, name: str, arguments: list[str], database_url: str) -> Part:
        return Part(name, arguments, env=self._environment(database_url), log=self.data_dir / f"{name}.log")

    def _environment(self, database_url: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in environment.NAMES}
        ports = {name: str(number) for name, number in self._ports.items()}
        return inherited | ports | {"MODE": "local", "DATA_DIR": str(self.data_dir), "DATABASE_URL": database_url}

    def _start_postgres(self) -> None:
        self._postgres.start(tie_to_parent=True)

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_at = time.monotonic()
            await asyncio.sleep(0.2)
            self.sender.lag_s = max(self.sender.lag_s, time.monotonic() - asked_at - 0.2)
            for part in self._parts:
                part.keep_alive()
            if not self._postgres.is_alive():
                try:
                    await loop.run_in_executor(self._postgres_thread, self._start_postgres)
                except Exception as error:  # killed once more while it came up: whatever says so, it is started again
                    say(f"  the database did not come up ({type(error).__name__}); started again")

    async def _answers(self, url: str) -> bool:
        assert self._http is not None
        try:
            async with self._http.get(url, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                return answer.status < 400
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False


@contextlib.asynccontextmanager
async def running_site(*, seed: str) -> AsyncIterator[Site]:
    """A site for the length of a block, its data deleted afterwards; KEEP=1 leaves the folder and its logs."""
    data_dir = Path(tempfile.mkdtemp(prefix="connector-site-chaos-"))
    site = Site(seed=seed, data_dir=data_dir)
    try:
        try:
            await site.start()
            yield site
        finally:
            await site.stop()
    finally:
        if os.environ.get("KEEP") == "1":
            say(f"kept: {data_dir}")
        else:
            postgres_home.remove(data_dir)
            shutil.rmtree(data_dir, ignore_errors=True)


async def eventually(
    look: Callable[[], Awaitable[Any]], what: str, *, within_s: float = 30.0, every_s: float = 0.2
) -> Any:
    """What `look` finds as soon as it is true. Raises TimeoutError with a sentence."""
    deadline = time.monotonic() + within_s
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {within_s:.0f} s.")
        await asyncio.sleep(every_s)
    return found


def chance(seed: str, purpose: str) -> random.Random:
    """Randomness of its own for each purpose, so that one more draw here changes nothing there."""
    return random.Random(f"{seed}/{purpose}")


def say(text: str) -> None:
    """Progress, to stderr: stdout is for the table."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
