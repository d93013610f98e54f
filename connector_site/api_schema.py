"""What the OpenAPI document covers."""

from typing import Any


def keep_api(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Keep the REST API. Webhooks have formats of their own, described where the providers describe them."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]
