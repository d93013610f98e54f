"""
The values the site starts with, gathered before Django is there (this module must not import it).

A value comes from the first of: the process environment; what `manage.py run` with the same DATA_DIR is serving with
at this moment; $DATA_DIR/env. Whatever is found ends in os.environ, so that settings and child processes agree.
"""

import base64
import contextlib
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
MODES = ("production", "local", "test")
NAMES = (
    "MODE",
    "PORT",
    "SIMULATOR_PORT",
    "SIMULATOR_TLS_PORT",
    "DATABASE_URL",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "ALLOWED_HOSTS",
    "PUBLIC_BASE_URL",
    "TRUSTED_PROXIES",
    "ADMIN_PASSWORD",
    "LIVEPERSON_DOMAIN_API",
    "LIVEPERSON_DOMAINS",
    "ALLOW_PRIVATE_OUTBOUND",
    "REDIS_URL",
    "METRICS_TOKEN",
    "IDENTITY_DAYS",
    "API_REQUESTS_PER_MINUTE",
    "SESSION_HOURS",
    "SESSION_IDLE_MINUTES",
)


class SettingsError(Exception):
    """A value is missing or weak; the text names it and says what to do."""


_given: frozenset[str] | None = None


def was_given(name: str) -> bool:
    """Whether a value stood in the process environment when this process started, rather than in a file."""
    return _given is not None and name in _given


def load() -> None:
    """Complete os.environ; calling it again changes nothing."""
    global _given
    if _given is None:
        _given = frozenset(name for name in NAMES if _value(name))
    data_dir = _data_dir()
    os.environ["DATA_DIR"] = str(data_dir)
    _adopt(read_running(data_dir))
    _adopt(_read_own_file(data_dir))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connector_site.settings")
    mode = os.environ["MODE"] = _value("MODE") or "production"
    if mode not in MODES:
        raise SettingsError(f"MODE is {mode!r}: set it to production or local (test is for the test run).")
    if mode != "production":
        _adopt(_generate_missing(data_dir))


def env_file(data_dir: Path) -> Path:
    """The file that holds what was generated."""
    return data_dir / "env"


def make_data_dir(data_dir: Path) -> None:
    """Make the data folder for its owner alone; a folder that exists keeps its mode."""
    if data_dir.is_dir():
        return
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        data_dir.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"DATA_DIR: {data_dir} cannot be made ({error.strerror}). Name a folder you own."
        ) from error


# --- what a live `manage.py run` serves with -------------------------------------------------------------------------


def claim_running(data_dir: Path) -> "RunningClaim | None":
    """Take the data folder for one supervisor; None when another one has it."""
    make_data_dir(data_dir)
    # O_CLOEXEC is Python's default: children never hold the claim, so it ends with the supervisor, however that ends.
    handle = os.open(_running_file(data_dir), os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(20):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return RunningClaim(handle)
        except BlockingIOError:
            # A reader (read_running) holds the lock for microseconds; a supervisor holds it for good.
            time.sleep(0.05)
    os.close(handle)
    return None


class RunningClaim:
    """A held claim on a data folder, with the values that other commands there shall use while it is held."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def publish(self, values: Mapping[str, str]) -> None:
        """Let every other command with the same DATA_DIR use these values from now on."""
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, _render(values).encode(), 0)

    def release(self) -> None:
        """Give the folder back."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def read_running(data_dir: Path) -> dict[str, str]:
    """What a live supervisor published; nothing when none is alive (a killed one leaves its text, not its lock)."""
    try:
        handle = os.open(_running_file(data_dir), os.O_RDONLY)
    except OSError:
        return {}
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _parse(os.pread(handle, 1 << 16, 0).decode())
    finally:
        os.close(handle)
    return {}


# --- the file of generated values ------------------------------------------------------------------------------------


def _read_own_file(data_dir: Path) -> dict[str, str]:
    """The env file, unless written for another mode: a key made for a local run must not slip into production."""
    try:
        values = _parse(env_file(data_dir).read_text())
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise SettingsError(f"DATA_DIR: {data_dir} is a file. Name a folder you own.") from error
    except OSError as error:
        raise SettingsError(f"DATA_DIR: {env_file(data_dir)} cannot be read ({error.strerror}).") from error
    mode = _value("MODE")
    return {} if mode and values.get("MODE", mode) != mode else values


def _generate_missing(data_dir: Path) -> dict[str, str]:
    """Make up the secrets that nobody has set, once: written before they are used, read back by the next command."""
    if all(_value(name) for name in _GENERATORS):
        return {}
    make_data_dir(data_dir)
    with _locked(data_dir):
        stored = _read_own_file(data_dir)
        missing = {name: make() for name, make in _GENERATORS.items() if not _value(name) and not stored.get(name)}
        if missing:
            stored = {"MODE": os.environ["MODE"]} | stored | missing
            _write_atomically(env_file(data_dir), _render(stored))
    return stored


def _make_encryption_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


_GENERATORS = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "ENCRYPTION_KEYS": _make_encryption_key,
    "ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
}


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One writer at a time: two first commands side by side must end with one set of keys."""
    try:
        handle = os.open(data_dir / "env.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError(f"DATA_DIR: nothing can be written in {data_dir} ({error.strerror}).") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_atomically(path: Path, text: str) -> None:
    """Replace the file as a whole, readable by its owner alone (which is what mkstemp makes)."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


# --- small parts -----------------------------------------------------------------------------------------------------


def _data_dir() -> Path:
    """Relative to the project, not to where the command was typed: `manage.py` from elsewhere means the same site."""
    return BASE_DIR / Path(_value("DATA_DIR") or "var").expanduser()


def _running_file(data_dir: Path) -> Path:
    return data_dir / "run.lock"


def _value(name: str) -> str:
    return os.environ.get(name, "").strip()


def _adopt(values: Mapping[str, str]) -> None:
    """An empty variable counts as unset: `SECRET_KEY= command` is a slip, not a choice."""
    for name, value in values.items():
        if not _value(name):
            os.environ[name] = value


def _parse(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): _unquote(value.strip()) for name, equals, value in pairs if equals}


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value


def _render(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
