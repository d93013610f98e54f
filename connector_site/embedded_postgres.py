"""
The embedded PostgreSQL: for development, tests and the first run, where DATABASE_URL names no server.

It listens on a Unix socket alone and knows its callers by their operating-system user. `manage.py run` owns start and
stop. Any other command connects when the server is up; else it starts it, and the last such command to leave stops it.
A server whose owner was killed is used again. Free of Django, because it has to be up before settings are read.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

from connector_site import commands, postgres_home
from connector_site.environment import SettingsError
from connector_site.postgres_home import Home
from connector_site.processes import die_with_parent

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # The promises of the product are about what survives a crash: the same here as in production.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A small footprint: two cores and 2 GiB carry everything.
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # What fails is logged without the statement and the row that it quotes: both hold people's words.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """The server of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.home: Home = postgres_home.locate(data_dir)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The DATABASE_URL of this server, whether it runs or not."""
        return self.home.url

    def start(self, *, tie_to_parent: bool) -> None:
        """
        Bring the server up, or find it up; a cluster is made on the first start.

        tie_to_parent: shut it down when this process is killed. Raises SettingsError when it does not come up.
        """
        with _locked(self.home.start_lock, fcntl.LOCK_EX):
            self._make_cluster_once()
            deadline = time.monotonic() + START_TIMEOUT_S
            while not self._can_connect():
                if time.monotonic() > deadline:
                    raise SettingsError(f"The embedded PostgreSQL did not start. Its log: {self.home.log}")
                # A server that is starting or stopping already has to finish first.
                if not self.is_alive():
                    self._launch(tie_to_parent=tie_to_parent)
                time.sleep(0.05)
            self._make_database_once()

    def stop(self) -> None:
        """Shut the server down, cutting connections: quickly at first, without ceremony after ten seconds."""
        with _locked(self.home.start_lock, fcntl.LOCK_EX):
            for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                pid = self._pid()
                if pid is None or not self.is_alive():
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, stop_signal)
                _wait_until(lambda: not self.is_alive(), STOP_TIMEOUT_S)
            self._process = None

    def is_alive(self) -> bool:
        """Whether the server's process is there, ready or not."""
        if self._process is not None:
            return self._process.poll() is None  # also takes leave of it: an unburied process blocks the next start
        pid = self._pid()
        return pid is not None and _is_running(pid)

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Use the server together with other commands: started when it is down, stopped by the last one to leave."""
        users = os.open(self.home.users_lock, os.O_RDWR | os.O_CREAT, 0o600)
        # A command may become another program (manage.py web becomes gunicorn), which then goes on being a user.
        os.set_inheritable(users, True)
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            self.start(tie_to_parent=False)
            yield
        finally:
            os.close(users)
            if self._is_unused():
                self.stop()

    def _is_unused(self) -> bool:
        try:
            with _locked(self.home.users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return True
        except BlockingIOError:
            return False

    def _make_cluster_once(self) -> None:
        """Make the cluster aside and put it in place as a whole: one that was killed half-way is thrown away."""
        cluster = self.home.cluster
        if cluster.exists():
            version = (cluster / "PG_VERSION").read_text().strip()
            if version != postgres_home.MAJOR:
                raise SettingsError(
                    f"{cluster} was made by PostgreSQL {version}, and {postgres_home.MAJOR} is installed. "
                    "Move the data with pg_dump, or start with an empty DATA_DIR."
                )
            return
        unfinished = cluster.with_name("cluster.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        result = subprocess.run(
            [
                self.home.binaries / "bin/initdb",
                f"--pgdata={unfinished}",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--auth-local=peer",
                "--auth-host=reject",
            ],
            capture_output=True,
            text=True,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            check=False,
            **self.home.user.options,
        )
        if result.returncode != 0:
            raise SettingsError(f"The embedded PostgreSQL could not be set up: {_last_line(result.stderr)}")
        callers = sorted({self.home.user.name, self.home.owner_name})
        roles = ("postgres", "connector_site")
        self._write(unfinished / "pg_hba.conf", "local all all peer map=site\n")
        self._write(
            unfinished / "pg_ident.conf",
            "".join(f'site "{caller}" {role}\n' for caller in callers for role in roles),
        )
        unfinished.rename(cluster)

    def _write(self, path: Path, text: str) -> None:
        """Write as the server's user: root must not follow a link that somebody else laid in a folder of theirs."""
        subprocess.run(
            ["/bin/sh", "-c", 'cat > "$0"', path], input=text.encode(), check=True, cwd="/", **self.home.user.options
        )

    def _make_database_once(self) -> None:
        """The site's own role may make databases (tests do), and is no superuser."""
        with self._connect() as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'connector_site'").fetchone():
                connection.execute("CREATE ROLE connector_site LOGIN CREATEDB")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'connector_site'").fetchone():
                connection.execute("CREATE DATABASE connector_site OWNER connector_site")

    def _launch(self, *, tie_to_parent: bool) -> None:
        """Start the server's process in a session of its own, out of reach of the terminal's Ctrl-C."""
        if self.home.log.exists() and self.home.log.stat().st_size > 5_000_000:
            self.home.log.unlink()
        settings = _SETTINGS | {"unix_socket_directories": f'"{self.home.socket_dir}"'}
        with self.home.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.home.binaries / "bin/postgres",
                    "-D",
                    self.home.cluster,
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT) if tie_to_parent else None,
                **self.home.user.options,
            )
        process = self._process
        _wait_until(lambda: process.poll() is not None or self._can_connect(), START_TIMEOUT_S)
        if process.poll() is None:
            return
        self._process = None
        reason = _last_line(self.home.log.read_text(errors="replace")[-4000:])
        if "pre-existing shared memory" not in reason and "lock file" not in reason:
            raise SettingsError(f"The embedded PostgreSQL did not start: {reason} (its log: {self.home.log})")
        # Helpers of a killed server are still leaving; they do so by themselves.
        time.sleep(0.5)

    def _can_connect(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.home.socket_dir), user="postgres", dbname="postgres", connect_timeout=5, autocommit=True
        )

    def _pid(self) -> int | None:
        try:
            return int((self.home.cluster / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None


@contextlib.contextmanager
def for_command(argv: Sequence[str], *, data_dir: Path) -> Iterator[None]:
    """
    Set DATABASE_URL to the embedded server's where nothing else set it, and keep that server up while a command runs.

    `run` brings the server up itself, because it also has to watch it.
    """
    if os.environ.get("DATABASE_URL", "").strip() or os.environ["MODE"] == "production":
        yield
        return
    if commands.needs_schema(argv) and not postgres_home.is_used(data_dir):
        # A slip in DATA_DIR must not end in an empty database somewhere.
        raise SettingsError(
            f"No site has been set up with DATA_DIR={data_dir}. Name the DATA_DIR of your site, "
            "or set this one up by make run (or manage.py migrate) first."
        )
    server = EmbeddedPostgres(data_dir)
    os.environ["DATABASE_URL"] = server.url
    if not commands.opens_database(argv) or commands.brings_up_server(argv):
        yield
        return
    with server.shared():
        yield


def is_embedded(url: str, *, data_dir: Path) -> bool:
    """Whether a DATABASE_URL is the one that the embedded server of this data folder has."""
    return url == postgres_home.locate(data_dir).url


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _wait_until(is_true: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def _is_running(pid: int) -> bool:
    """Whether a process works: one that ended and waits to be buried does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def _environment() -> dict[str, str]:
    """Nothing of ours: no locale that the machine lacks, no secret in a process that does not need it."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
