"""Listening: one port in the clear, one with TLS, one event loop, a quick and clean end."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
import uvloop

from .app import build_app
from .wire import DroppableProtocol
from .world import World

_GRACE_S = 1


class _Server(uvicorn.Server):
    """Leaves signals to us: two servers run in one loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SystemExit(f"Choose another port: {host}:{port} cannot be used ({error.strerror}).") from None
    listener.listen(1024)
    return listener


def _certificate(folder: Path, *, host: str) -> Path:
    """A certificate of our own, kept so that a client may pin it; ca.pem is what a client has to trust."""
    folder.mkdir(parents=True, exist_ok=True)
    pem = folder / "server.pem"
    if not pem.exists():
        import trustme  # here, because only the first start needs it

        authority = trustme.CA(organization_name="LivePerson simulator")
        issued = authority.issue_cert("localhost", "127.0.0.1", "::1", *({host} - {"localhost", "127.0.0.1", "::1"}))
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        fresh = folder / "server.new"
        fresh.touch(mode=0o600)
        issued.private_key_and_cert_chain_pem.write_to_path(str(fresh))
        fresh.rename(pem)
    return pem


def _config(app: object, *, certificate: Path | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=DroppableProtocol,
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=75,
        ssl_certfile=certificate,
    )


def _lock(data_dir: Path) -> int:
    """Keep a second process off the same data; the lock ends with the process, however that ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    held = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"Choose another --data-dir: a simulator is running on {data_dir}.") from None
    return held


async def _serve(*, host: str, port: int, tls_port: int, data_dir: Path) -> None:
    plain = _listen(host, port)
    secure = _listen(host, tls_port) if tls_port else None
    _lock(data_dir)
    world = World(data_dir)
    world.start()
    app = build_app(world)
    listeners = [(plain, None)]
    if secure:
        listeners.append((secure, _certificate(data_dir / "tls", host=host)))  # type: ignore[arg-type]
    servers = [(_Server(_config(app, certificate=pem)), listener) for listener, pem in listeners]

    def stop() -> None:
        world.stopping.set()
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop)
    running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers) and not any(task.done() for task in running):
        await asyncio.sleep(0.01)
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"simulator READY http://{shown}:{plain.getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.gather(*running)
    await world.stop()


def run(*, host: str, port: int, tls_port: int, data_dir: Path) -> None:
    uvloop.run(_serve(host=host, port=port, tls_port=tls_port, data_dir=data_dir))
