"""manage.py web: the web server."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from connector_site import ports
from connector_site.environment import BASE_DIR


class Command(BaseCommand):
    """Becomes gunicorn: its settings are connector_site/gunicorn_settings.py, and GUNICORN_CMD_ARGS goes over them."""

    help = "Runs the web server on PORT."

    def handle(self, *args: Any, **options: Any) -> None:
        """Collect the static files where they are served from disk, then turn into gunicorn."""
        if trouble := ports.trouble("PORT", settings.PORT):
            raise CommandError(trouble)
        if settings.STATIC_ROOT is not None:
            try:
                call_command("collectstatic", interactive=False, verbosity=0)
            except OSError as error:
                raise CommandError(
                    f"DATA_DIR: the static files cannot be written to {settings.STATIC_ROOT} ({error.strerror})."
                ) from error
        os.chdir(BASE_DIR)
        arguments = ["-m", "gunicorn", "-c", "python:connector_site.gunicorn_settings", "connector_site.wsgi"]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 -- our own interpreter
