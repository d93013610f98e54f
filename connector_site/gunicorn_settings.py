"""
How gunicorn serves the site. Read by gunicorn's master before Django is loaded.

WEB_CONCURRENCY sets the number of processes; GUNICORN_CMD_ARGS goes over everything here.
"""

import os
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from connector_site import environment, logs
from connector_site.ports import bind_host

environment.load()
logs.configure()


class _SiteLogger(Logger):
    """Leaves the form of the lines to connector_site.logs: gunicorn's own handlers would write another one."""

    def setup(self, cfg: Any) -> None:
        """Add no handlers."""
        self.error_log.propagate = True
        self.access_log.propagate = False
        self.access_log.disabled = True


bind = f"{bind_host()}:{os.environ.get('PORT') or 8000}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
worker_class = "connector_site.web_worker.WholeRequestWorker"
threads = 8
# A killed process is replaced by a fork of the loaded site, in milliseconds.
preload_app = True
timeout = 30
graceful_timeout = 8
keepalive = 5
backlog = 2048
# What a stranger may send before anything of ours looks at it.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
# Who may speak for others is decided in connector_site.middleware, by TRUSTED_PROXIES.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
accesslog = None
errorlog = "-"
logger_class = _SiteLogger
control_socket_disable = True
# Its own sign of life is a file touched every second: on a disk that stalls, workers would be killed for nothing.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def post_fork(server: Any, worker: Any) -> None:
    """Two processes must not share a database connection that the master happened to open."""
    from django.db import connections

    connections.close_all()


def post_worker_init(worker: Any) -> None:
    """The site is loaded, and the process serves from now on."""
    from connector_site.rollups import acks

    acks.begin()


def worker_exit(server: Any, worker: Any) -> None:
    """What was measured last is written, too."""
    from connector_site.rollups import acks

    acks.end()
