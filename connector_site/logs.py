"""
Logs: one JSON object a line on standard error, from us, Django, gunicorn and django-q alike.

Free of Django, because gunicorn's master configures logging before Django is loaded. A line holds a constant event, ids
and figures. What could carry a secret or a person's words is cut here as a second line of defence: objects are named by
their type, exception texts end at their first line (PostgreSQL's second line quotes the row) and are redacted.
"""

import logging
import logging.config
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from core.redaction import redact

_MAX_TEXT_CHARS = 2_000
_MAX_REASON_CHARS = 300
_PLAIN = (str, int, float, bool, type(None))


def configure() -> None:
    """Send every log line of this process through the one form."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_collectors(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_config())
    logging.captureWarnings(True)


def first_line(error: BaseException) -> str:
    """What an exception says, short and redacted: without the rows that PostgreSQL quotes from its second line on."""
    lines = str(error).strip().splitlines()
    return redact(lines[0])[:_MAX_REASON_CHARS] if lines else ""


def json_formatter() -> structlog.stdlib.ProcessorFormatter:
    """Turns a record of whatever library into one line of JSON."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_collectors(), structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _keep_plain,
            structlog.processors.ExceptionRenderer(_format_exception),
            # Plain ASCII: control characters and marks that turn the reading direction arrive escaped.
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
    )


def _config() -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": json_formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "django": {"level": "INFO", "handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # One line per doorbell says nothing; a process that died is a warning or worse.
            "django-q": {"level": "WARNING", "propagate": True},
            # Its warnings quote URLs with their query.
            "urllib3": {"level": "ERROR"},
            "asyncio": {"level": "WARNING"},
        },
    }


def _collectors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _keep_plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep facts, name objects by their type: a request's own text shows its query, a model's its content."""
    return {key: value if key == "exc_info" else _plain(value) for key, value in event.items() if key != "request"}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MAX_TEXT_CHARS]
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if type(value).__module__ in ("uuid", "datetime", "decimal", "pathlib"):
        return str(value)
    return f"<{type(value).__name__}>"


def _format_exception(exc_info: Any) -> str:
    """A traceback without local values; each exception of the chain by its type and first line."""
    kind, error, frames = exc_info
    parts = ["".join(traceback.format_tb(frames)), f"{kind.__qualname__}: {first_line(error)}"]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    seen = {id(error)}
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        parts.append(f"\nfrom {type(cause).__qualname__}: {first_line(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "".join(parts)
