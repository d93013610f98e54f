"""The web server beside clients that do not speak: it has threads for those who do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from connector_site.environment import BASE_DIR
from tests.stack import free_ports

THREADS = 2
# Shorter than its own: tests wait for both.
REQUEST_MAY_TAKE_S, BODY_MAY_TAKE_S, HELD_MAY_WAIT_S = 8.0, 9.0, 3.0
# Less than it takes until those who hold threads are let go, and more than a busy machine sleeps.
QUICKLY_S = 6.0
START = f"""
from gunicorn.app.wsgiapp import run
from connector_site import web_worker
web_worker.REQUEST_MAY_TAKE_S, web_worker.BODY_MAY_TAKE_S = {REQUEST_MAY_TAKE_S}, {BODY_MAY_TAKE_S}
web_worker.HELD_MAY_WAIT_S = {HELD_MAY_WAIT_S}
run()
"""
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A web server of one process with two threads."""
    (port,) = free_ports(1)
    values = os.environ | {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "GUNICORN_CMD_ARGS": f"--threads {THREADS}",
    }
    command = [sys.executable, "-c", START, "-c", "python:connector_site.gunicorn_settings", "connector_site.wsgi"]
    process = subprocess.Popen(command, env=values, cwd=BASE_DIR, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            answered_in(port)
            return
        assert time.monotonic() < deadline, "The web server does not answer."
        time.sleep(0.1)


def answered_in(port: int) -> float:
    """Seconds until somebody who asks properly has an answer."""
    began_at = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    connection.close()
    return time.monotonic() - began_at


@contextlib.contextmanager
def clients(port: int, count: int, *, saying: bytes) -> Iterator[list[socket.socket]]:
    """Connections that say this and then nothing."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(count)]
        for one in opened:
            one.sendall(saying)
        time.sleep(0.3)
        yield opened


@pytest.mark.parametrize("saying", [b"", b"G", REQUEST[:-1]], ids=["nothing", "a byte", "all but the last byte"])
def test_who_says_no_whole_head_holds_no_thread(port: int, saying: bytes) -> None:
    with clients(port, 4 * THREADS, saying=saying):
        assert answered_in(port) < QUICKLY_S


def test_a_head_that_comes_in_pieces_is_answered(port: int) -> None:
    with clients(port, 1, saying=b"") as (client,):
        for number in range(len(REQUEST)):
            client.sendall(REQUEST[number : number + 1])
            time.sleep(0.01)
        assert client.recv(1024).startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_was_kept_alive_and_begins_again_holds_no_thread(port: int) -> None:
    with clients(port, 4 * THREADS, saying=REQUEST) as opened:
        for client in opened:
            assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
            client.sendall(REQUEST[:20])
        time.sleep(0.3)
        assert answered_in(port) < QUICKLY_S
        opened[0].sendall(REQUEST[20:])
        assert opened[0].recv(1024).startswith(b"HTTP/1.1 200 ")


def test_half_a_request_that_came_with_the_one_before_holds_no_thread(port: int) -> None:
    with clients(port, 4 * THREADS, saying=REQUEST + REQUEST[:20]) as opened:
        for client in opened:
            assert client.recv(1024).startswith(b"HTTP/1.1 200 ")
        assert answered_in(port) < QUICKLY_S
        opened[0].sendall(REQUEST[20:])
        assert opened[0].recv(1024).startswith(b"HTTP/1.1 200 ")


# The door of webhooks reads the body before it knows who sent it.
WEBHOOK = b"POST /webhooks/liveperson/01900000-0000-7000-8000-000000000000/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1000\r\n\r\n{",
        b"Content-Length: 100000\r\n\r\n{",
        b"Content-Length: 0000000000000001000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n{",
    ],
    ids=["short", "long", "length in many digits", "in chunks"],
)
def test_who_says_no_whole_body_leaves_threads_for_others(port: int, body: bytes) -> None:
    with clients(port, 4 * THREADS, saying=WEBHOOK + body):
        assert answered_in(port) < QUICKLY_S


def test_a_body_that_comes_in_pieces_is_read(port: int) -> None:
    with clients(port, 1, saying=WEBHOOK + b"Content-Length: 4\r\n\r\n") as (client,):
        for _ in range(4):
            client.sendall(b"x")
            time.sleep(0.01)
        assert client.recv(1024).startswith(b"HTTP/1.1 ")


def test_a_body_that_comes_a_moment_after_its_head_is_waited_for_no_longer(port: int) -> None:
    def took_s(client: socket.socket) -> float:
        client.sendall(WEBHOOK + b"Content-Length: 1000\r\n\r\n")
        time.sleep(0.02)
        began_at = time.monotonic()
        client.sendall(b"x" * 1000)
        read_answer(client)
        return time.monotonic() - began_at

    with clients(port, 1, saying=b"") as (client,):
        # Each of them would take as long as the loop sleeps; a busy machine delays many.
        assert any(took_s(client) < 0.15 for _ in range(50))


def read_answer(client: socket.socket) -> None:
    """The whole of it: its head and its body may come one after the other."""
    answer = HTTPResponse(client)
    answer.begin()
    answer.read()


def test_a_long_body_that_goes_on_and_on_is_cut_off(port: int) -> None:
    with clients(port, 1, saying=WEBHOOK + b"Content-Length: 100000\r\n\r\n") as (client,):
        client.settimeout(1)
        began_at, answer = time.monotonic(), b""
        while not answer and time.monotonic() - began_at < BODY_MAY_TAKE_S + 20:
            client.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = client.recv(1024)
        assert answer.startswith(b"HTTP/1.1 400 ")


# More than the kernel keeps on the way to somebody who does not read.
PAGE = b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def test_who_asks_for_pages_and_does_not_read_them_leaves_threads_to_webhooks(port: int) -> None:
    with clients(port, 4 * THREADS, saying=PAGE * 20) as opened:
        time.sleep(1)
        assert answered_in(port) < QUICKLY_S
        assert webhook_answered_in(port) < QUICKLY_S
        time.sleep(HELD_MAY_WAIT_S)
        assert any(b"HTTP/1.1 503 " in all_of(client) for client in opened[-2:]), "Who waits in vain is told."


def test_pages_whose_body_comes_in_chunks_leave_threads_to_webhooks_that_do_so_too(port: int) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    page = PAGE[:-2] + chunked + b"0\r\n\r\n"
    with clients(port, 4 * THREADS, saying=page * 20):
        time.sleep(1)
        began_at = time.monotonic()
        with clients(port, 1, saying=WEBHOOK + chunked + b"2\r\n{}\r\n0\r\n\r\n") as (client,):
            read_answer(client)
        assert time.monotonic() - began_at < QUICKLY_S


def all_of(client: socket.socket) -> bytes:
    """What a connection says until it is closed."""
    return b"".join(iter(lambda: client.recv(1 << 20), b""))


def webhook_answered_in(port: int) -> float:
    """Seconds until a webhook is answered, whatever the answer is: there is no database here."""
    began_at = time.monotonic()
    with clients(port, 1, saying=WEBHOOK + b"Content-Length: 2\r\n\r\n{}") as (client,):
        read_answer(client)
    return time.monotonic() - began_at


def test_who_does_not_close_after_the_answer_holds_nobody_up(port: int) -> None:
    saying = REQUEST[:-2] + b"Connection: close\r\n\r\n"
    with clients(port, 10, saying=saying) as opened:
        assert answered_in(port) < QUICKLY_S
        for client in opened:
            assert client.recv(1024).startswith(b"HTTP/1.1 200 ")


def test_two_requests_at_once_on_one_connection_are_both_answered(port: int) -> None:
    with clients(port, 1, saying=REQUEST * 2) as (client,):
        told = b""
        while told.count(b"HTTP/1.1 200 ") < 2:
            piece = client.recv(4096)
            assert piece
            told += piece


def test_who_says_no_whole_head_is_let_go_after_a_while(port: int) -> None:
    began_at = time.monotonic()
    with clients(port, 1, saying=REQUEST[:-1]) as (client,), contextlib.suppress(ConnectionResetError):
        assert client.recv(1024) == b""
    assert time.monotonic() - began_at > REQUEST_MAY_TAKE_S - 2


def test_a_head_that_is_too_long_is_refused(port: int) -> None:
    too_long = b"GET /healthz HTTP/1.1\r\n" + b"X-Filler: " + b"x" * 300_000
    with clients(port, 1, saying=b"") as (client,):
        with contextlib.suppress(OSError):
            client.sendall(too_long)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1024).startswith(b"HTTP/1.1 431 ")
    assert answered_in(port) < QUICKLY_S
