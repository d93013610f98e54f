"""A reader of a long answer is looked at again while it is on its way: a key may be revoked, a role be taken away."""

from __future__ import annotations

import time
import uuid

from access.models import ApiKey, User
from access.rest.authentication import is_valid
from access.rest.content import may_read_content
from access.rules import AllBrands, brands_of


class NoLongerOpen(Exception):
    """The reader may no longer see all that they could see when the answer began."""


class Watch:
    """Of one reader and one resource, from the moment at which they were let in."""

    EVERY_S = 2.0

    def __init__(self, reader: User, *, resource: str) -> None:
        assert reader.key is not None
        self._key_id: uuid.UUID = reader.key.pk
        self._resource = resource
        self._brands = brands_of(reader)
        self._read_content = may_read_content(reader)
        self._look_again_s = time.monotonic() + self.EVERY_S

    def look(self) -> None:
        """Costs nothing unless it is time to look again. Raises NoLongerOpen."""
        if time.monotonic() < self._look_again_s:
            return
        self._look_again_s = time.monotonic() + self.EVERY_S
        key = ApiKey.objects.select_related("owner", "token").filter(pk=self._key_id).first()
        if key is None or not is_valid(key):
            raise NoLongerOpen("the key has ended")
        key.owner.key = key
        if not self._still_opens(key):
            raise NoLongerOpen("the key opens less than before")

    def _still_opens(self, key: ApiKey) -> bool:
        brands = brands_of(key.owner)
        sees_as_much = isinstance(brands, AllBrands) or (
            not isinstance(self._brands, AllBrands) and self._brands <= brands
        )
        opens_resource = not key.resources or self._resource in key.resources
        return sees_as_much and opens_resource and (may_read_content(key.owner) or not self._read_content)
