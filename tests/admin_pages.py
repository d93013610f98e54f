"""How tests come to a page of the admin."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from access.models import User


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url_of(row: Any, deed: str = "") -> str:
    """The page of a row, or of something that can be done to it."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    if deed:
        return reverse(f"{name}_do", kwargs={"object_id": row.pk, "deed_name": deed})
    return reverse(f"{name}_change", args=[row.pk])
