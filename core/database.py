"""Whose fault an error of the database is: the row's, which may be set aside for it, or nobody's."""

from __future__ import annotations

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)

# The database is there and says that what it was given cannot be written. Everything else (a lost connection, a
# deadlock, a timeout, a server that only reads) says nothing about the row: it waits, and no try of it is used up.
ROW_REFUSED = (DataError, IntegrityError, NotSupportedError, ProgrammingError)

# SQLSTATE class "program limit exceeded", such as an index entry that is too long. An OperationalError by its type.
_LIMIT_EXCEEDED = "54"


def refuses_row(error: BaseException) -> bool:
    """Whether the database refuses the row itself, now and whenever it is tried again."""
    if isinstance(error, ROW_REFUSED):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return bool(sqlstate.startswith(_LIMIT_EXCEEDED))


def is_away(error: BaseException) -> bool:
    """Whether nothing is wrong with the row: the database was lost, too slow, or chose another transaction."""
    return isinstance(error, (DatabaseError, InterfaceError)) and not refuses_row(error)
