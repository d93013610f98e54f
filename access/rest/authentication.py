"""API keys: knox tokens, looked at more closely."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

KEY_LIFE_MAX = timedelta(days=90)
_KEY = re.compile(rb"[A-Za-z0-9_]{20,128}")
_REFUSED = "This API key is not valid: it is malformed, unknown, expired or revoked, or its owner may not sign in."


class ApiKey(TokenAuthentication):
    """
    `Authorization: Bearer <key>`. A key sees what its owner sees.

    Every refusal reads the same, so that a stranger learns nothing about a key; a key without an end, or with one that
    is too far away, is refused however it was made.
    """

    def authenticate(self, request: Any) -> Any:
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            raise AuthenticationFailed(_REFUSED) from None

    def authenticate_credentials(self, token: bytes) -> Any:
        # Before the database is asked: it takes neither NUL nor bytes that are not text.
        if not _KEY.fullmatch(token):
            raise AuthenticationFailed(_REFUSED)
        return super().authenticate_credentials(token)

    def validate_user(self, auth_token: Any) -> Any:
        if auth_token.expiry is None or auth_token.expiry - auth_token.created > KEY_LIFE_MAX + timedelta(minutes=1):
            raise AuthenticationFailed(_REFUSED)
        return super().validate_user(auth_token)
