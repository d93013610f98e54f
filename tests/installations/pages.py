"""Pages of connectors as somebody sees them, and forms as somebody fills them in."""

from __future__ import annotations

import html
from typing import Any

from django.urls import reverse

from access.models import User
from audit.models import AuditEntry
from installations.models import Account, AppInstallation
from tests.admin_pages import signed_in

CLIENT_ID = "5f0f9c1e-7b1c-4b53-9f3a-2f3b1f6f3f10"
SECRET = "a-client-secret-that-nobody-may-read"


def url_of(row: Any, name: str = "change", *more: str) -> str:
    return reverse(f"admin:installations_{row._meta.model_name}_{name}", args=[row.pk, *more])


def page_of(user: User, row: Any) -> str:
    answer = signed_in(user).get(url_of(row))
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def do(user: User, row: Any, name: str, /, **given: Any) -> Any:
    return signed_in(user).post(url_of(row, "do", name), given)


def last_entry(action: str) -> AuditEntry:
    entry = AuditEntry.objects.filter(action=action).order_by("id").last()
    assert entry is not None, action
    return entry


def installation_form(account: Account, /, **values: Any) -> dict[str, Any]:
    return {
        "account": str(account.pk), "client_id": CLIENT_ID, "name": "Web shop", "first_secret": SECRET,
        "signature_policy": "AUTO", "unknown_policy": "AUTO", "features": ["RICH_CONTENT"], "campaign_id": "",
        "engagement_id": "", "skill_id": "", **values,
    }  # fmt: skip


def channel_form(installation: AppInstallation, /, **values: Any) -> dict[str, Any]:
    return {
        "installation": str(installation.pk), "name": "Gateway", "prefix": "",
        "config_url": "https://gateway.example.com/out", "secret_signing_secret": "", **values,
    }  # fmt: skip
