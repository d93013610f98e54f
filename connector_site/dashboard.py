"""The first page: what needs somebody, brand by brand; and the sidebar."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from access.models import Brand
from access.rules import Verb, limit, may
from connector_site import heartbeat
from conversations.models import DispatchState
from conversations.selectors import COUNTED_AT_MOST, TROUBLED_STATES, count_troubled
from installations.models import AppInstallation, State
from webhooks.selectors import last_deliveries

_MOST_BRANDS = 50
_MOST_CONNECTORS = 500
_TROUBLE = {
    "UNKNOWN": ("wait", "Waits for evidence whether it arrived; holds up this consumer's messages."),
    "PARKED": ("bad", "Waits for a person: send it again, drop it, or mark it as sent."),
    "DEAD": ("bad", "Tried often enough, or for long enough. Can be sent again."),
    "FAILED": ("plain", "The other side will not take it."),
}


def context(request: HttpRequest) -> dict[str, Any]:
    """What the template admin/index.html shows. A handful of statements, however much there is."""
    brands = list(limit(Brand.objects.all(), request.user)[:_MOST_BRANDS])
    troubled = count_troubled([brand.pk for brand in brands])
    connectors = _connectors_of(brands)
    age_s = heartbeat.youngest_age_s()
    return {
        "title": "Overview",
        "cards": [
            {
                "brand": brand,
                "url": reverse("admin:access_brand_change", args=[brand.pk]),
                "troubles": _troubles(brand, troubled.get(brand.pk, {})),
                "connectors": connectors[brand.pk],
            }
            for brand in brands
        ],
        "has_more_brands": len(brands) == _MOST_BRANDS,
        "worker_age_s": age_s,
        "worker_is_alive": age_s is not None and age_s <= heartbeat.ALIVE_WITHIN_S,
        "may_set_up": may(request.user, Verb.OPERATE),
    }


def _troubles(brand: Brand, counts: dict[str, int]) -> list[dict[str, Any]]:
    listed = reverse("admin:conversations_dispatch_changelist")
    return [
        {
            "label": DispatchState(state).label,
            "tone": _TROUBLE[state][0],
            "hint": _TROUBLE[state][1],
            "count": f"{COUNTED_AT_MOST}+" if counts[state] >= COUNTED_AT_MOST else str(counts[state]),
            "url": f"{listed}?{urlencode({'brand': brand.pk, 'state': state})}",
        }
        for state in TROUBLED_STATES
        if counts.get(state)
    ]


def _connectors_of(brands: list[Brand]) -> dict[Any, list[dict[str, Any]]]:
    rows = list(
        AppInstallation.objects.filter(brand__in=brands)
        .select_related("account")
        .prefetch_related("channels")
        .order_by("name", "client_id")[:_MOST_CONNECTORS]
    )
    last_seen = last_deliveries([row.pk for row in rows])
    found = defaultdict(list)
    for row in rows:
        found[row.brand_id].append(
            {
                "row": row,
                "url": reverse("admin:installations_appinstallation_change", args=[row.pk]),
                "channels": [
                    {
                        "row": channel,
                        "url": reverse("admin:installations_channel_change", args=[channel.pk]),
                        "is_active": channel.state == State.ACTIVE,
                    }
                    for channel in row.channels.all()
                ],
                "is_active": row.state == State.ACTIVE,
                "last_seen_at": last_seen.get(row.pk),
            }
        )
    return found


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """What somebody does about their own sign-in; logging out stands below by itself."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Sign out everywhere", "link": reverse("admin:sign_out_everywhere")},
    ]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: what is looked at every day first."""

    def page(title: str, icon: str, model: str) -> dict[str, Any]:
        return {"title": title, "icon": icon, "link": reverse(f"admin:{model}_changelist")}

    people = [page("Roles", "badge", "access_membership"), page("API keys", "key", "access_apikey")]
    if getattr(request.user, "is_superuser", False):
        people.insert(0, page("People", "person", "access_user"))
    return [
        {
            "title": "",
            "items": [
                {"title": "Overview", "icon": "monitoring", "link": reverse("admin:index")},
                {"title": "Find", "icon": "search", "link": reverse("admin:find")},
            ],
        },
        {
            "title": "Conversations",
            "items": [
                page("Conversations", "forum", "conversations_conversation"),
                page("Consumers", "group", "conversations_consumer"),
                page("Messages", "chat", "conversations_message"),
            ],
        },
        {
            "title": "Traffic",
            "items": [
                page("Outbox", "outbox", "conversations_dispatch"),
                page("Inbox", "inbox", "webhooks_delivery"),
                page("Bulk jobs", "playlist_play", "connector_site_bulkjob"),
            ],
        },
        {
            "title": "Set-up",
            "items": [
                page("Brands", "storefront", "access_brand"),
                page("LivePerson accounts", "domain", "installations_account"),
                page("App installations", "hub", "installations_appinstallation"),
                page("Channels", "sms", "installations_channel"),
            ],
        },
        {"title": "People", "items": [*people, page("Audit trail", "history", "audit_auditentry")]},
    ]
