#!/usr/bin/env python
"""The one entry point: every part of the site and every command starts here."""

import os
import sys
from pathlib import Path

from connector_site import embedded_postgres, environment


def main() -> int:
    """Load the environment, make sure that there is a database where a command needs one, run the command."""
    try:
        environment.load()
        with embedded_postgres.for_command(sys.argv, data_dir=Path(os.environ["DATA_DIR"])):
            return _run_django(sys.argv)
    except environment.SettingsError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        return 1


def _run_django(argv: list[str]) -> int:
    """Hand over to Django; a wrong setting is one sentence instead of a traceback."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        # Settings load here, inside the try: Django itself would keep the reason back for some commands.
        settings.INSTALLED_APPS  # noqa: B018 -- reading one name loads them all
    except ImproperlyConfigured as error:
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 1
    execute_from_command_line(argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
