"""manage.py run: the whole site on one machine, for a first look, development and end-to-end tests."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connector_site.environment import SettingsError
from connector_site.run import CannotStart, Site


class Command(BaseCommand):
    """What `make run` becomes."""

    help = "Starts the database, the web server, the workers and the simulator, and stops them together."

    def handle(self, *args: Any, **options: Any) -> None:
        """Stay until SIGTERM or Ctrl-C."""
        try:
            sys.exit(Site(say=self._say).run())
        except (CannotStart, SettingsError) as error:
            raise CommandError(str(error)) from error

    def _say(self, text: str) -> None:
        # Flushed at once: whoever waits for READY may read from a pipe.
        self.stdout.write(text)
        self.stdout.flush()
