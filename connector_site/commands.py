"""What each manage.py command needs of the database. Free of Django, because it is asked before settings are read."""

from collections.abc import Sequence

_WITHOUT_DATABASE = frozenset(
    {"help", "version", "simulator", "collectstatic", "findstatic", "diffsettings", "check", "spectacular"}
)
# They bring the server up themselves, or only ask it whether applied migrations fit together and go on without one.
_WITH_OR_WITHOUT_DATABASE = frozenset({"run", "makemigrations", "sqlmigrate", "optimizemigration", "squashmigrations"})
_WITHOUT_SCHEMA = frozenset({"migrate", "showmigrations", "dbshell", "shell", "restore"})
_SERVING = frozenset({"web", "worker"})
_USAGE = frozenset({"-h", "--help", "--version"})


def opens_database(argv: Sequence[str]) -> bool:
    """Whether it may open a connection at all: it must work where no server can, otherwise."""
    return _name(argv) not in _WITHOUT_DATABASE and not _asks_for_usage(argv)


def needs_database(argv: Sequence[str]) -> bool:
    """Whether it can do nothing before there is a server that answers."""
    return opens_database(argv) and _name(argv) not in _WITH_OR_WITHOUT_DATABASE


def needs_schema(argv: Sequence[str]) -> bool:
    """Whether it needs every table as this version of the code knows it."""
    return needs_database(argv) and _name(argv) not in _WITHOUT_SCHEMA


def serves(argv: Sequence[str]) -> bool:
    """Whether it acknowledges or sends messages, which the database then has to remember."""
    return needs_schema(argv) and _name(argv) in _SERVING


def brings_up_server(argv: Sequence[str]) -> bool:
    """Whether it starts and watches the embedded PostgreSQL itself."""
    return _name(argv) == "run"


def _name(argv: Sequence[str]) -> str:
    return argv[1] if len(argv) > 1 else "help"


def _asks_for_usage(argv: Sequence[str]) -> bool:
    return not _USAGE.isdisjoint(argv[1:])
