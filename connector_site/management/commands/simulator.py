"""manage.py simulator: LivePerson's side, for development and tests."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from connector_site import ports
from connector_site.environment import BASE_DIR


class Command(BaseCommand):
    """Becomes the simulator, which is a program of its own and shares no code with the site."""

    help = "Runs the LivePerson simulator on SIMULATOR_PORT (http) and SIMULATOR_TLS_PORT (https)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Turn into the simulator."""
        if settings.SIMULATOR_PORT == 0:
            raise CommandError("SIMULATOR_PORT is 0, which means none. Set it to a free port, such as 8100.")
        for name in ("SIMULATOR_PORT", "SIMULATOR_TLS_PORT"):
            if trouble := ports.trouble(name, getattr(settings, name)):
                raise CommandError(trouble)
        os.chdir(BASE_DIR)
        os.execv(sys.executable, [sys.executable, *arguments()])  # noqa: S606 -- our own interpreter


def arguments() -> list[str]:
    """The command line of the simulator, after the interpreter."""
    return [
        "-m",
        "simulator",
        "--port",
        str(settings.SIMULATOR_PORT),
        "--tls-port",
        str(settings.SIMULATOR_TLS_PORT),
        "--data-dir",
        str(settings.DATA_DIR / "simulator"),
    ]
