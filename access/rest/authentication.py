"""API keys: knox keeps their digests, a row of ours says whose they are and what they open."""

from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from access.models import ApiKey, ApiKeyBrand, User
from access.rest.limits import TooManyRequests, note_use

KEY_LIFE_MAX = timedelta(days=90)
_KEY = re.compile(rb"[A-Za-z0-9_]{20,128}")
_REFUSED = "This API key is not valid: it is malformed, unknown, expired or revoked, or its owner may not sign in."


class KeyAuthentication(TokenAuthentication):
    """
    `Authorization: Bearer <key>`. A key sees what its owner sees, or less; `request.user.key` is its row.

    Every refusal reads the same, so that a stranger learns nothing about a key; a key without an end, or with one that
    is too far away, is refused however it was made.
    """

    def authenticate(self, request: Request) -> tuple[User, AuthToken] | None:
        """Two statements: who asks, and the count of their requests. Raises TooManyRequests too."""
        try:
            found: tuple[User, AuthToken] | None = super().authenticate(request)
        except AuthenticationFailed:
            raise AuthenticationFailed(_REFUSED) from None
        if found is not None:
            self._note_use(found[0], request)
        return found

    def _note_use(self, owner: User, request: Request) -> None:
        assert owner.key is not None
        use = note_use(owner.key, request)
        if use is None:
            raise AuthenticationFailed(_REFUSED)
        if use.is_too_many:
            raise TooManyRequests(use)

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        # Before the database is asked: it takes neither NUL nor bytes that are not text.
        key = _find(token.decode()) if _KEY.fullmatch(token) else None
        if key is None or not is_valid(key):
            raise AuthenticationFailed(_REFUSED)
        owner = key.owner
        owner.key = key
        return owner, key.token


def _find(secret: str) -> ApiKey | None:
    """One statement: the key with its owner and brands. Looked up by its digest, of which nothing can be guessed."""
    limited_to = ArraySubquery(ApiKeyBrand.objects.filter(key=OuterRef("pk")).values("brand_id"))
    key = (
        ApiKey.objects.select_related("owner", "token")
        .annotate(limited_to=limited_to)
        .filter(token_id=hash_token(secret))
        .first()
    )
    if key is not None:
        key.brand_ids = frozenset(key.limited_to)
    return key


def reader_again(key: ApiKey) -> User:
    """
    Who asks, as they stand now: a request may have taken its time to say what it wants.

    Raises AuthenticationFailed where the key has ended since.
    """
    fresh = ApiKey.objects.select_related("owner", "token").filter(pk=key.pk).first()
    if fresh is None or not is_valid(fresh):
        raise AuthenticationFailed(_REFUSED)
    reader = fresh.owner
    reader.key = fresh
    return reader


def is_valid(key: ApiKey) -> bool:
    """Whether it opens anything at this moment. The key is read together with its owner and its token."""
    token = key.token
    if token is None or token.expiry is None or token.expiry - token.created > KEY_LIFE_MAX + timedelta(minutes=1):
        return False
    is_over = timezone.now() >= min(token.expiry, key.expires_at)
    return not is_over and key.revoked_at is None and key.owner.is_active and token.user_id == key.owner_id
