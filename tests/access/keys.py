"""A program that calls the REST API with a key."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client

from access.models import User
from connector_site import api_keys
from core.actor import COMMAND


def make_key(owner: User, **wanted: Any) -> str:
    """A fresh key of this person, limited as api_keys.Wanted says."""
    return api_keys.create(owner=owner, days=1, actor=COMMAND, wanted=api_keys.Wanted(**wanted)).secret


class Program(Client):
    """Django's client with a key; an unexpected exception is answered as a server answers it."""

    def __init__(self, owner: User, **wanted: Any) -> None:
        key = make_key(owner, **wanted)
        super().__init__(raise_request_exception=False, headers={"Authorization": f"Bearer {key}"})

    def read(self, path: str, **parameters: Any) -> Any:
        """The JSON of an address that has to answer 200."""
        answer: HttpResponse = self.get(path, parameters)
        assert answer.status_code == 200, answer.content
        return answer.json()
