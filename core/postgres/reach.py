"""Whether an error says that the database is away, rather than that it did not like what it was told."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError

# It is going down or coming up, lost the connection, or takes no more of them.
_AWAY = ("08", "57P01", "57P02", "57P03", "53300")
# It answers and stores nothing: a standby, or one that was made read-only; its disk is full.
_STORES_NOTHING = ("25006", "53100")


def is_unreachable(error: BaseException) -> bool:
    """True also where nothing was heard at all: then the error has no code of PostgreSQL's."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(_AWAY)


def stores_nothing(error: BaseException) -> bool:
    """True for an error of a database that can be read, and cannot be written."""
    code = getattr(error.__cause__, "sqlstate", None) if isinstance(error, DatabaseError) else None
    return code in _STORES_NOTHING
