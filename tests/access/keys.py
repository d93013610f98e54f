"""A program that calls the REST API with a key."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client

from access.models import User
from connector_site import api_keys
from core.actor import COMMAND


def make_key(owner: User) -> str:
    """A fresh key of this person."""
    return api_keys.create(owner=owner, days=1, actor=COMMAND).key


class Program(Client):
    """Django's client with a key; an unexpected exception is answered as a server answers it."""

    def __init__(self, owner: User) -> None:
        super().__init__(raise_request_exception=False, headers={"Authorization": f"Bearer {make_key(owner)}"})

    def read(self, path: str, **parameters: Any) -> Any:
        """The JSON of an address that has to answer 200."""
        answer: HttpResponse = self.get(path, parameters)
        assert answer.status_code == 200, answer.content
        return answer.json()
