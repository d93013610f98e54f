import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from connector_site import logs

TOKEN = "eyJhbGciOi" + ".eyJzdWIiOi" + ".c2ln"


@pytest.fixture
def lines() -> Iterator[Any]:
    """What is logged from now on, as the parsed lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.json_formatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def test_both_ways_of_logging_end_in_the_same_form(lines: Any) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        structlog.get_logger("ours").info("message.sent", attempt=2)
        logging.getLogger("theirs").info("message.sent", extra={"attempt": 2})
    for line in lines():
        assert (line["event"], line["attempt"], line["correlation_id"], line["level"]) == (
            "message.sent",
            2,
            "c-1",
            "info",
        )


def test_a_line_stays_a_line_whatever_a_stranger_wrote(lines: Any) -> None:
    logging.getLogger("any").warning("name %s", 'a\nb\x1b[31m\u202e"}')
    (line,) = lines()
    assert line["event"] == 'name a\nb\x1b[31m\u202e"}'


def test_marks_that_turn_the_reading_direction_arrive_escaped() -> None:
    record = logging.LogRecord("any", logging.WARNING, "", 0, "a\u202eb\x07", None, None)
    assert logs.json_formatter().format(record).isascii()


def test_objects_are_named_by_their_type(lines: Any) -> None:
    class Secretive:
        def __repr__(self) -> str:
            return "the content"

    logging.getLogger("any").warning("seen", extra={"what": Secretive(), "deep": {"er": [Secretive()]}})
    (line,) = lines()
    assert (line["what"], line["deep"]) == ("<Secretive>", {"er": ["<Secretive>"]})


def test_a_traceback_shows_neither_local_values_nor_quoted_rows(lines: Any) -> None:
    def fail() -> None:
        words = "my card is 4111"
        raise ValueError(f"duplicate key\nDETAIL:  Key (words)=({words}) already exists.")

    try:
        fail()
    except ValueError:
        logging.getLogger("any").exception("store.failed")
    (line,) = lines()
    assert "ValueError: duplicate key" in line["exception"]
    assert "in fail" in line["exception"]
    assert "4111" not in json.dumps(line)


def test_a_token_in_an_error_text_is_masked(lines: Any) -> None:
    try:
        try:
            raise OSError(f"refused: authorization={TOKEN}")
        except OSError as error:
            raise RuntimeError(f"this one was refused: {TOKEN}") from error
    except RuntimeError:
        logging.getLogger("any").exception("call.failed")
    (line,) = lines()
    assert "RuntimeError" in line["exception"]
    assert "from OSError" in line["exception"]
    assert TOKEN not in line["exception"]


def test_a_failed_request_is_logged_without_its_query(client: Any, lines: Any) -> None:
    client.get("/nothing-here?token=s3cret")
    (line,) = [line for line in lines() if line["logger"] == "django.request"]
    assert "/nothing-here" in line["event"]
    assert "s3cret" not in json.dumps(line)
    assert line["correlation_id"]
