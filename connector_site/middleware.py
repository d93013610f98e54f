"""What every request passes before any app sees it."""

import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse

from access.rest import content
from connector_site import errors
from connector_site.rollups import arrival
from core.ids import new_id
from core.postgres import patience

NextHandler = Callable[[HttpRequest], HttpResponse]


class AckTimes:
    """Measures how long the senders of webhooks wait for their answer. Around everything else."""

    def __init__(self, get_response: NextHandler) -> None:
        from connector_site.rollups import acks  # late: it needs the models

        self._next, self._note = get_response, acks.note

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """From the moment at which the whole request was there, which may be before it found a thread."""
        came_at = arrival.take()
        response = self._next(request)
        if request.path_info.startswith("/webhooks/"):
            self._note(request.path_info, status=response.status_code, elapsed_s=time.monotonic() - came_at)
        return response


class CorrelationId:
    """Gives each request an id of ours that its log lines, its answer and its error message share."""

    def __init__(self, get_response: NextHandler) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Never taken from the request: a stranger must not choose what our logs are searched by."""
        correlation_id = str(new_id())
        request.correlation_id = correlation_id  # type: ignore[attr-defined]
        # Not unbound at the end: Django logs a failed request after the last middleware has finished.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        response = self._next(request)
        response["X-Correlation-Id"] = correlation_id
        return response


class DatabasePatience:
    """Refuses at once, by 503, what needs a database that is away; see docs/decisions/0006-database-away.md."""

    # Whoever asks here has a timeout of a few seconds, and takes an error for a reason to ask again.
    _QUICK = ("/webhooks/", "/readyz")

    def __init__(self, get_response: NextHandler) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Every other page may take as long as it needs while the database lives."""
        with patience.limited(patience.QUICK_S if request.path_info.startswith(self._QUICK) else None):
            return self._next(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Called by Django for what a view did not answer."""
        return errors.without_database(request, exception)


class TrustedProxy:
    """Believes X-Forwarded-For and X-Forwarded-Proto where a proxy of TRUSTED_PROXIES sent them, and nowhere else."""

    def __init__(self, get_response: NextHandler) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Afterwards REMOTE_ADDR is the caller's own address, and is_secure() tells about the outer connection."""
        forwarded_for = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        forwarded_proto = request.META.pop("HTTP_X_FORWARDED_PROTO", "")
        if _is_trusted(request.META.get("REMOTE_ADDR", "")):
            if forwarded_proto:
                # The proxy nearest to us wrote the last word.
                scheme = forwarded_proto.split(",")[-1].strip().lower()
                request.META["wsgi.url_scheme"] = "https" if scheme == "https" else "http"
            request.META["REMOTE_ADDR"] = _caller(forwarded_for) or request.META.get("REMOTE_ADDR", "")
        return self._next(request)


class Probes:
    """
    Answers the addresses that machines ask before anything looks at the host name or asks for https: a load balancer
    or Prometheus calls this process by its IP address.
    """

    def __init__(self, get_response: NextHandler) -> None:
        from connector_site import health, metrics  # late: metrics needs the models

        self._next = get_response
        self._views: dict[str, NextHandler] = {
            "/healthz": health.healthz,
            "/readyz": health.readyz,
            "/metrics": metrics.metrics,
        }

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """A 404 of /metrics looks like any other one."""
        view = self._views.get(request.path_info)
        if view is None:
            return self._next(request)
        try:
            return view(request)
        except Http404:
            return errors.not_found(request)


class LastSlash:
    """An address of the REST API is the same without its last slash: no redirect, which a POST would not survive."""

    def __init__(self, get_response: NextHandler) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Before Django looks for the view."""
        if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return self._next(request)


class ReadingsTold:
    """What a program was let read stands in the trail before the program has it; or else it gets nothing."""

    def __init__(self, get_response: NextHandler) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Only requests by a key open anything."""
        response = self._next(request)
        if isinstance(response, StreamingHttpResponse):
            response.streaming_content = _told_before(request, response.streaming_content)
            return response
        content.tell_opened(request)
        return response


def _caller(forwarded_for: str) -> str:
    """The right-most address that is not a proxy of ours: everything left of it could be invented."""
    caller = ""
    for part in reversed(forwarded_for.split(",")):
        address = part.strip()
        if not _is_address(address):
            break
        caller = address
        if not _is_trusted(address):
            break
    return caller


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(text: str) -> bool:
    # A Unix socket has no address: only a proxy on this machine can reach it.
    if not text:
        return True
    return _is_address(text) and any(ipaddress.ip_address(text) in network for network in settings.TRUSTED_PROXIES)


def _told_before(request: HttpRequest, parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        content.tell_opened(request)
        yield part
