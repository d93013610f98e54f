import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector_site import environment
from connector_site.environment import SettingsError

GENERATED = ("SECRET_KEY", "ENCRYPTION_KEYS", "ADMIN_PASSWORD")


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path) -> Iterator[None]:
    """Nothing of the site is set; what a test sets is gone afterwards."""
    kept = dict(os.environ)
    for name in environment.NAMES:
        os.environ.pop(name, None)
    os.environ["DATA_DIR"] = str(tmp_path / "data")
    yield
    os.environ.clear()
    os.environ |= kept


def forget(*names: str) -> None:
    for name in names or environment.NAMES:
        os.environ.pop(name, None)


def written(data_dir: Path) -> dict[str, str]:
    lines = environment.env_file(data_dir).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_local_mode_generates_once_and_reads_the_same_values_back(tmp_path: Path) -> None:
    os.environ["MODE"] = "local"
    environment.load()
    first = {name: os.environ[name] for name in GENERATED}
    assert written(tmp_path / "data") == {"MODE": "local"} | first
    forget()
    environment.load()  # without MODE: the file says it
    assert os.environ["MODE"] == "local"
    assert {name: os.environ[name] for name in GENERATED} == first


def test_only_the_owner_may_read_what_was_generated(tmp_path: Path) -> None:
    os.environ["MODE"] = "local"
    environment.load()
    assert stat.S_IMODE(environment.env_file(tmp_path / "data").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.environ["DATA_DIR"] = str(tmp_path / "file")
    with pytest.raises(SettingsError, match=r"file is a file\. Name a folder you own\."):
        environment.load()


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    os.environ["MODE"] = "local"
    environment.load()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


def test_the_real_environment_wins_and_is_not_written_down(tmp_path: Path) -> None:
    os.environ |= {"MODE": "local", "ADMIN_PASSWORD": "chosen by a person"}
    environment.load()
    assert os.environ["ADMIN_PASSWORD"] == "chosen by a person"
    assert "ADMIN_PASSWORD" not in written(tmp_path / "data")


def test_an_empty_variable_counts_as_unset() -> None:
    os.environ |= {"MODE": "local", "SECRET_KEY": ""}
    environment.load()
    assert len(os.environ["SECRET_KEY"]) >= 50


def test_production_generates_nothing(tmp_path: Path) -> None:
    environment.load()
    assert os.environ["MODE"] == "production"
    assert "SECRET_KEY" not in os.environ
    assert not (tmp_path / "data").exists()


def test_keys_made_for_a_local_run_do_not_slip_into_production() -> None:
    os.environ["MODE"] = "local"
    environment.load()
    forget()
    os.environ["MODE"] = "production"
    environment.load()
    assert "SECRET_KEY" not in os.environ


def test_a_production_file_serves_every_command(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    environment.env_file(tmp_path / "data").write_text('# ours\nMODE=production\nALLOWED_HOSTS="a.example"\n')
    environment.load()
    assert os.environ["ALLOWED_HOSTS"] == "a.example"


def test_an_unknown_mode_is_refused_by_name() -> None:
    os.environ["MODE"] = "debug"
    with pytest.raises(SettingsError, match="^MODE is 'debug'"):
        environment.load()


def test_a_relative_data_folder_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.environ |= {"MODE": "production", "DATA_DIR": "var"}
    environment.load()
    assert os.environ["DATA_DIR"] == str(environment.BASE_DIR / "var")


def test_first_commands_side_by_side_end_with_one_set_of_keys(tmp_path: Path) -> None:
    os.environ["MODE"] = "local"
    context = multiprocessing.get_context("spawn")
    with context.Pool(6) as pool:
        keys = pool.map(_load_and_tell, range(12))
    assert len(set(keys)) == 1


def _load_and_tell(_: int) -> tuple[str, ...]:
    environment.load()
    return tuple(os.environ[name] for name in GENERATED)


class TestRunningSite:
    def test_other_commands_use_what_a_live_site_serves_with(self, tmp_path: Path) -> None:
        claim = environment.claim_running(tmp_path / "data")
        assert claim is not None
        claim.publish({"MODE": "local", "PORT": "9123"})
        environment.load()
        assert (os.environ["MODE"], os.environ["PORT"]) == ("local", "9123")
        claim.release()

    def test_what_a_dead_site_left_behind_is_ignored(self, tmp_path: Path) -> None:
        claim = environment.claim_running(tmp_path / "data")
        assert claim is not None
        claim.publish({"PORT": "9123"})
        os.close(claim._handle)  # as the kernel does it for a killed process: the text stays
        assert environment.read_running(tmp_path / "data") == {}

    def test_a_data_folder_serves_one_site_at_a_time(self, tmp_path: Path) -> None:
        claim = environment.claim_running(tmp_path / "data")
        assert claim is not None
        assert environment.claim_running(tmp_path / "data") is None
        claim.release()
        again = environment.claim_running(tmp_path / "data")
        assert again is not None
        again.release()
