"""What can be judged without running the site: style, import contracts, migrations, production settings, types."""

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from connector_site import environment

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run every check, also after one failed. Return an exit status."""
    with tempfile.TemporaryDirectory() as folder:
        production = _throw_away_values(Path(folder))
        manage = [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py"]
        checks = {
            "style": [sys.executable, "-m", "ruff", "check", "."],
            "format": [sys.executable, "-m", "ruff", "format", "--check", "."],
            "import contracts": [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
            "migrations": [*manage, "makemigrations", "--check", "--dry-run"],
            "production settings": [*manage, "check", "--deploy", "--fail-level", "WARNING"],
            "types": [sys.executable, "-m", "mypy"],
        }
        failed = [name for name, command in checks.items() if not _passes(name, command, production)]
    print(f"check: {'FAILED: ' + ', '.join(failed) if failed else 'all passed'}", flush=True)
    return 1 if failed else 0


def _passes(name: str, command: list[str], values: dict[str, str]) -> bool:
    print(f"--- {name}", flush=True)
    began_at = time.monotonic()
    status = subprocess.run(command, cwd=ROOT, env=values, check=False).returncode
    print(f"    {'ok' if status == 0 else 'FAILED'} ({time.monotonic() - began_at:.1f} s)", flush=True)
    return status == 0


def _throw_away_values(data_dir: Path) -> dict[str, str]:
    """Production settings that pass, with nothing of the developer's own; no check here opens a connection."""
    inherited = {name: value for name, value in os.environ.items() if name not in environment.NAMES}
    return inherited | {
        "MODE": "production",
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENCRYPTION_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "ALLOWED_HOSTS": "connectors.example.com",
        "PUBLIC_BASE_URL": "https://connectors.example.com",
        "DATABASE_URL": "postgresql://check@127.0.0.1:1/check",
    }


if __name__ == "__main__":
    sys.exit(main())
