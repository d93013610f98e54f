"""The sidebar."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """What somebody does about their own sign-in; logging out stands below by itself."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Sign out everywhere", "link": reverse("admin:sign_out_everywhere")},
    ]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """What is looked at every day first."""

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
                page("Pauses", "pause_circle", "installations_pause"),
            ],
        },
        {"title": "People", "items": [*people, page("Audit trail", "history", "audit_auditentry")]},
    ]
