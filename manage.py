#!/usr/bin/env python
"""The one entry point: every part of the site and every command starts here."""

import os
import sys
from pathlib import Path

try:
    from connector_site import embedded_postgres, environment
except ModuleNotFoundError as error:
    sys.exit(
        f"{sys.argv[0]}: {sys.executable} has no package {error.name}. On your machine run `make setup`, then "
        ".venv/bin/python manage.py …; elsewhere install requirements.txt for the python that runs this."
    )


def main() -> int:
    """Load the environment, make sure that there is a database where a command needs one, run the command."""
    try:
        environment.load()
        with embedded_postgres.for_command(sys.argv, data_dir=Path(os.environ["DATA_DIR"])):
            return _run_django(sys.argv)
    except environment.SettingsError as error:
        return _refuse(str(error))


def _run_django(argv: list[str]) -> int:
    """Hand over to Django; what is wrong with the settings or the database is a sentence instead of a traceback."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        # Settings load here, inside the try: Django itself would keep the reason back for some commands.
        settings.INSTALLED_APPS  # noqa: B018 -- reading one name loads them all
    except ImproperlyConfigured as error:
        return _refuse(str(error))

    from django.db import Error, connection

    from connector_site import start_checks
    from core.postgres.reach import is_unreachable

    if trouble := start_checks.trouble(argv):
        return _refuse(trouble)
    try:
        execute_from_command_line(argv)
    except Error as error:
        # It went away in the middle.
        if not is_unreachable(error):
            raise
        connection.close()
        return _refuse(start_checks.away(error))
    return 0


def _refuse(sentences: str) -> int:
    for sentence in sentences.splitlines():
        print(f"{sys.argv[0]}: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
