"""
The supervisor of the whole site in local mode: starts the parts in order, watches them, stops them in order.

Everything it starts dies with it, also when it is killed; the database then shuts down in order by itself.
"""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from types import FrameType

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from connector_site import demo, embedded_postgres, environment, first_admin, ports
from connector_site.embedded_postgres import EmbeddedPostgres
from connector_site.environment import BASE_DIR, RunningClaim
from connector_site.processes import Child, Spacing, describe, stop_all

READY_WITHIN_S = 60.0
# Together below the 15 seconds that a caller may count on, with time left for the database.
_SITE_GRACE_S = 12.0
_SIMULATOR_GRACE_S = 1.0

logger = structlog.get_logger(__name__)


class CannotStart(Exception):
    """The site cannot start; the text says why and what to do."""


class _Stopped(Exception):
    """A signal asked for the end while the site was starting."""


class Site:
    """The parts of one running site."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        """say: prints a line for the person who started the site."""
        self._say = say
        self._postgres: EmbeddedPostgres | None = None
        self._is_stopping = False
        manage = [sys.executable, str(BASE_DIR / "manage.py")]
        # The web server and the simulator hold ports, so they leave at once when we are killed; each loses nothing.
        self._web = Child("web", [*manage, "web"], when_orphaned=signal.SIGKILL)
        self._worker = Child("worker", [*manage, "worker"])
        self._simulator = Child("simulator", [*manage, "simulator"], when_orphaned=signal.SIGKILL)
        self._children = [self._web, self._worker]
        if settings.SIMULATOR_PORT:
            self._children.insert(0, self._simulator)
        self._spacing = {child.name: Spacing() for child in self._children}
        self._restart_at: dict[str, float] = {}

    def run(self) -> int:
        """Start, watch until a signal comes, stop. Raises CannotStart or SettingsError, with nothing left running."""
        if settings.IS_PRODUCTION:
            raise CannotStart(
                "MODE is production, where web and worker are services of their own: manage.py web, manage.py worker. "
                "For a site on this machine set MODE=local, or use make run."
            )
        claim = environment.claim_running(settings.DATA_DIR)
        if claim is None:
            raise CannotStart(
                f"A site runs already with DATA_DIR={settings.DATA_DIR}. Stop it first, or set DATA_DIR and PORT, "
                "SIMULATOR_PORT and SIMULATOR_TLS_PORT to run a second one beside it."
            )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        try:
            self._start(claim)
            self._watch()
        except _Stopped:
            pass
        finally:
            self._stop()
            claim.release()
        return 0

    # --- start -------------------------------------------------------------------------------------------------------

    def _start(self, claim: RunningClaim) -> None:
        self._check_ports()
        self._say(f"Connector Site: data in {settings.DATA_DIR}")
        if embedded_postgres.is_embedded(os.environ["DATABASE_URL"], data_dir=settings.DATA_DIR):
            self._say("  database   starting the embedded PostgreSQL")
            self._postgres = EmbeddedPostgres(settings.DATA_DIR)
            self._postgres.start(tie_to_parent=True)
        claim.publish({name: os.environ[name] for name in environment.NAMES if os.environ.get(name)})
        self._step("migrating")
        call_command("migrate", interactive=False, verbosity=0)
        first_admin.ensure()
        connections.close_all()
        for child in self._children:
            self._step(f"starting the {child.name}")
            child.start()
        self._wait_until_ready()
        if settings.SIMULATOR_PORT:
            self._step("looking after the demo brands (the first start seeds them and plays a conversation on each)")
            demo.ensure(say=self._say)
            connections.close_all()
        self._say(self._where_to_look())
        self._say(f"READY {self._own_url()}")

    def _check_ports(self) -> None:
        names = ["PORT"] + (["SIMULATOR_PORT", "SIMULATOR_TLS_PORT"] if settings.SIMULATOR_PORT else [])
        numbers = [getattr(settings, name) for name in names]
        if len(set(numbers)) != len(numbers):
            raise CannotStart(f"{', '.join(names)} must differ from each other.")
        for name, number in zip(names, numbers, strict=True):
            if trouble := ports.trouble(name, number):
                raise CannotStart(trouble)

    def _step(self, text: str) -> None:
        if self._is_stopping:
            raise _Stopped
        self._say(f"  {text}")

    def _wait_until_ready(self) -> None:
        """Until the site can store and its workers are alive; a part that ends meanwhile cannot start at all."""
        self._step("waiting until everything answers")
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = {f"{self._own_url()}/readyz": "the web server and the workers"}
        if settings.SIMULATOR_PORT:
            waiting[f"http://127.0.0.1:{settings.SIMULATOR_PORT}/"] = "the simulator"
        while waiting:
            if self._is_stopping:
                raise _Stopped
            for child in self._children:
                if (status := child.exit_status()) is not None:
                    raise CannotStart(f"The {child.name} could not start ({describe(status)}). Its log is above.")
            if time.monotonic() > deadline:
                raise CannotStart(f"After {READY_WITHIN_S:.0f} s there is no sign of {' or '.join(waiting.values())}.")
            waiting = {url: what for url, what in waiting.items() if not _answers(url)}
            time.sleep(0.1)

    def _where_to_look(self) -> str:
        lines = ["", f"  Admin      {self._own_url()}/admin/    {first_admin.how_to_sign_in()}"]
        if settings.SIMULATOR_PORT:
            lines.append(
                f"  Simulator  http://127.0.0.1:{settings.SIMULATOR_PORT}/    an agent's desk, and consumers' phones"
            )
        lines += ["  Stop with Ctrl-C.", ""]
        return "\n".join(lines)

    def _own_url(self) -> str:
        return f"http://127.0.0.1:{settings.PORT}"

    # --- watch -------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._is_stopping:
            self._keep_database()
            for child in self._children:
                self._keep_alive(child)
            time.sleep(0.2)

    def _keep_database(self) -> None:
        if self._postgres is not None and not self._postgres.is_alive():
            logger.error("run.database_ended")
            self._postgres.start(tie_to_parent=True)
            logger.info("run.database_restarted")

    def _keep_alive(self, child: Child) -> None:
        if child.is_running():
            return
        if child.name not in self._restart_at:
            status = child.exit_status()
            child.kill()  # what the ended main process may have left behind
            pause_s = self._spacing[child.name].pause_s(ran_s=time.monotonic() - child.started_at)
            self._restart_at[child.name] = time.monotonic() + pause_s
            how = describe(status) if status is not None else "never started"
            logger.error("run.child_ended", child=child.name, how=how, restart_in_s=pause_s)
        if time.monotonic() >= self._restart_at[child.name]:
            del self._restart_at[child.name]
            child.start()

    # --- stop --------------------------------------------------------------------------------------------------------

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping and number == signal.SIGINT:
            # The second Ctrl-C: somebody does not want to wait.
            for child in self._children:
                child.kill()
        self._is_stopping = True

    def _stop(self) -> None:
        """No new input first; then what the workers still call, last what all of them store in."""
        self._say("Stopping.")
        late = stop_all([self._web, self._worker], grace_s=_SITE_GRACE_S)
        late += stop_all([self._simulator], grace_s=_SIMULATOR_GRACE_S)
        for child in late:
            logger.warning("run.child_killed", child=child.name)
        connections.close_all()
        if self._postgres is not None:
            self._postgres.stop()
        self._say("Stopped.")


def _answers(url: str) -> bool:
    """Whether a server of ours answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 -- a loopback address built above
            return bool(answer.status < 400)
    except (OSError, urllib.error.URLError):
        return False
