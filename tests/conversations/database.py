"""A database whose rows are really committed, as workers and web servers in other threads and processes see them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import connection, transaction

from audit.models import AuditEntry

# The figures last: a web server beside the test may write some for brands that are still there.
_APPS = ("access", "audit", "installations", "conversations", "webhooks", "django_q", "connector_site")


def empty() -> None:
    """
    Delete every row of ours, in one transaction.

    Not TRUNCATE, which pytest-django uses: it makes new files for every table and waits for the disk. The order does
    not matter, because foreign keys are checked at the end.
    """
    tables = [model._meta.db_table for label in _APPS for model in apps.get_app_config(label).get_models()]
    tables.remove(AuditEntry._meta.db_table)
    with transaction.atomic(), connection.cursor() as cursor:
        with without_the_guard():
            cursor.execute(f'DELETE FROM "{AuditEntry._meta.db_table}"')
        cursor.execute(
            ";".join(f'DELETE FROM "{table}"' for table in ["access_user_groups", "django_session", *tables])
        )


@contextmanager
def without_the_guard() -> Iterator[None]:
    """Inside, the trail is changed as the owner of the tables could change it: for cleaning up, and for forgeries."""
    table = AuditEntry._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with open checks is not altered
        cursor.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
        yield
        cursor.execute(f'ALTER TABLE "{table}" ENABLE TRIGGER USER')
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
