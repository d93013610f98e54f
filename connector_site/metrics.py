"""
Figures for Prometheus, read from the database at each call.

So they are those of the whole site, whichever process answers, and survive a restart. Every query stays cheap at ten
million rows: totals come from PostgreSQL's own counters (they also count rows that were rolled back, and start again
after a crash of the database, which Prometheus expects of counters); counts by state are asked only for the states that
have a small index of their own.
"""

import hmac
import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Count, Min, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

from connector_site import heartbeat
from conversations.models import Attempt, Dispatch, DispatchState, Lane, Message
from conversations.models.outbox import LIVE_STATES
from core.breaker import Phase
from installations import breakers
from installations.models import ASLEEP_FOR, Pause, PauseScope
from webhooks.models import Delivery, DeliveryState, Event, EventOutcome

_TOTALS: dict[str, tuple[type[Model], str]] = {
    "connector_site_deliveries": (Delivery, "Authentic requests stored."),
    "connector_site_events": (Event, "Changes found in deliveries."),
    "connector_site_messages": (Message, "Messages accepted from either side."),
    "connector_site_dispatches": (Dispatch, "Things queued to be sent."),
    "connector_site_attempts": (Attempt, "Tries to send."),
}
# Their lanes have gone on without them. Asked apart from the live ones: each of the two questions has an index.
_LEFT_BEHIND = (DispatchState.PARKED, DispatchState.DEAD, DispatchState.FAILED)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus's text format; in production only to who holds METRICS_TOKEN, to others there is nothing."""
    if settings.IS_PRODUCTION and not _holds_token(request):
        raise Http404
    registry = CollectorRegistry()
    registry.register(_Site())
    # Of the one process that answers; the name says so, because the next call may reach another one.
    ProcessCollector(namespace="connector_site_answering", registry=registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _holds_token(request: HttpRequest) -> bool:
    expected = f"Bearer {settings.METRICS_TOKEN}"
    given = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(given.encode(), expected.encode())


class _Site:
    """Collects the site's figures; where the database is away, says that instead of failing."""

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("connector_site_info", "What runs.", labels=["mode", "django", "python"])
        info.add_metric([settings.MODE, version("django"), platform.python_version()], 1)
        yield info
        families: list[Metric] = []
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '5s'")
                families = list(_from_database())
        except DatabaseError:
            connection.close()
        up = GaugeMetricFamily("connector_site_database_up", "Whether the database answered this call.")
        up.add_metric([], 1 if families else 0)
        yield up
        yield from families


def _from_database() -> Iterator[Metric]:
    yield from _totals()
    yield _by_state(
        "connector_site_dispatches_by_state",
        "Things to send that have not come to a good end.",
        [
            *Dispatch.objects.filter(state__in=LIVE_STATES).values_list("state").annotate(Count("pk")).order_by(),
            *Dispatch.objects.filter(state__in=_LEFT_BEHIND).values_list("state").annotate(Count("pk")).order_by(),
        ],
        states=(*LIVE_STATES, *_LEFT_BEHIND),
    )
    yield _by_state(
        "connector_site_deliveries_by_state",
        "Deliveries that wait to be applied.",
        [(DeliveryState.STORED, Delivery.objects.filter(state=DeliveryState.STORED).count())],
        states=(DeliveryState.STORED,),
    )
    yield _by_state(
        "connector_site_events_by_outcome",
        "Events that wait to see whether they are ours.",
        [(EventOutcome.WAITING, Event.objects.filter(outcome=EventOutcome.WAITING).count())],
        states=(EventOutcome.WAITING,),
    )
    yield _by_state(
        "connector_site_upstreams_by_state",
        "Hosts that ever gave trouble, by the phase of their breaker; those that are open are not called.",
        breakers.count_by_phase().items(),
        states=Phase,
    )
    yield from _paused()
    yield from _ages()


def _paused() -> Iterator[Metric]:
    counts = Pause.objects.filter(ended_at=None).values_list("scope").annotate(Count("pk")).order_by()
    family = GaugeMetricFamily("connector_site_pauses_in_force", "What people have paused.", labels=["scope"])
    found = dict(counts)
    for scope in PauseScope:
        family.add_metric([scope.value.lower()], found.get(scope.value, 0))
    yield family
    lanes = GaugeMetricFamily("connector_site_paused_lanes", "Consumers' lanes in which something waits for a pause.")
    lanes.add_metric([], Lane.objects.filter(blocked_by__in=ASLEEP_FOR).count())
    yield lanes


def _totals() -> Iterator[Metric]:
    names = {model._meta.db_table: name for name, (model, _) in _TOTALS.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins FROM pg_stat_user_tables"
            " WHERE schemaname = current_schema() AND relname = ANY(%s)",
            [list(names)],
        )
        counts = {names[table]: inserted for table, inserted in cursor.fetchall()}
    for name, (_, text) in _TOTALS.items():
        family = CounterMetricFamily(name, text)
        family.add_metric([], counts.get(name, 0))
        yield family


def _by_state(name: str, text: str, counts: Iterable[tuple[Any, ...]], *, states: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["state"])
    found = {str(state): count for state, count in counts}
    for state in states:
        family.add_metric([str(state).lower()], found.get(str(state), 0))
    return family


def _ages() -> Iterator[Metric]:
    now = timezone.now()
    oldest_lane = Lane.objects.filter(due_at__isnull=False, due_at__lte=now).aggregate(at=Min("due_at"))["at"]
    oldest_delivery = Delivery.objects.filter(state=DeliveryState.STORED).aggregate(at=Min("received_at"))["at"]
    for name, text, at in (
        ("connector_site_oldest_due_lane_age_seconds", "For how long the longest due lane waits.", oldest_lane),
        ("connector_site_oldest_stored_delivery_age_seconds", "For how long a delivery waits.", oldest_delivery),
    ):
        family = GaugeMetricFamily(name, text)
        family.add_metric([], 0 if at is None else max(0.0, (now - at).total_seconds()))
        yield family
    age_s = heartbeat.youngest_age_s()
    beat = GaugeMetricFamily("connector_site_heartbeat_age_seconds", "Since a worker's last sign of life.")
    beat.add_metric([], float("inf") if age_s is None else age_s)
    yield beat
