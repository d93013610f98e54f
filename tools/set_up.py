"""
Make the virtual environment .venv and install what the project needs, when it is not there already.

Runs on a bare Python, before anything is installed. Two of them side by side wait for each other.
"""

import fcntl
import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FILES = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
STAMP = VENV / "installed"


def main() -> int:
    """Return an exit status."""
    if sys.version_info < (3, 11):
        return fail(f"Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}. Set PYTHON.")
    VENV.mkdir(exist_ok=True)
    with (VENV / "set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint()
        if STAMP.is_file() and STAMP.read_text() == wanted:
            return 0
        say("Making .venv")
        if subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode:
            return fail("The virtual environment could not be made. On Debian: apt-get install python3-venv.")
        say("Installing packages (a minute or two the first time)")
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
        if subprocess.run([*pip, "--requirement", str(FILES[-1])], cwd=ROOT, check=False).returncode:
            return fail("The packages could not be installed; pip says why above. Run the same command again to go on.")
        STAMP.write_text(wanted)
    return 0


def fingerprint() -> str:
    """What the environment is made of: the lists of packages, this Python, and this place, which .venv remembers."""
    parts = [path.read_bytes() for path in FILES]
    parts.append(f"{sys.version} {sysconfig.get_platform()} {VENV}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def fail(text: str) -> int:
    """Print what to do, and return the exit status for it."""
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
