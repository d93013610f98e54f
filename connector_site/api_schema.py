"""What the OpenAPI document covers, and what holds for every address in it."""

from typing import Any

from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme

from access.rest.parameters import LONGEST_VALUE, VISIBLE
from connector_site import api_examples

_ERROR = {
    "type": "object",
    "description": "The one shape of every error.",
    "required": ["code", "detail", "correlation_id"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "string", "description": "What went wrong, for programs, such as not_found."},
        "detail": {"type": "string", "description": "The same as a sentence that says what to do."},
        "correlation_id": {"type": "string", "description": "Finds the request in this site's logs."},
    },
}
_ANSWER = {
    "description": "Anything else: an error.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_UNCHANGED = {"description": "What you have already, by the ETag in your If-None-Match, is what there is."}
_REASON = {"reason": "The gateway was down until noon"}
_SOMETHING = rf"^[^\u0000]*{VISIBLE}[^\u0000]*$"
# No control characters, and not spaces alone.
_WORDS = rf"^[^\u0000-\u001f\u007f-\u009f]*{VISIBLE}[^\u0000-\u001f\u007f-\u009f]*$"


class ApiKeyScheme(KnoxTokenScheme):
    """How the document tells about our keys."""

    target_class = "access.rest.authentication.KeyAuthentication"
    name = "apiKey"


def keep_api(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Keep the REST API. Webhooks have formats of their own, described where the providers describe them."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/")]


def free_members(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Of a row only the id is always told: a reader may ask for a few members, by `fields`."""
    for schema in result["components"]["schemas"].values():
        if "links" in schema.get("properties", {}):
            schema["required"] = ["id"]
    return result


def limit_values(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Tell of each parameter of a query that it is never empty, how long it may be, and that it holds no NUL."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "query" and _is_free_text(parameter["schema"]):
                    parameter["schema"] |= {"minLength": 1, "maxLength": LONGEST_VALUE, "pattern": _SOMETHING}
    return result


def close_bodies(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Tell of each body that it takes nothing beside its members, and that its words are some."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = result["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
                schema["additionalProperties"] = False
                for member in schema["properties"].values():
                    if _is_free_text(member):
                        member |= {"minLength": 1, "pattern": _WORDS}
    return result


def _is_free_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"enum", "format", "pattern"} & set(schema)


def add_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Show a row of each list, and tell that nothing is sent twice."""
    for address, operations in result["paths"].items():
        resource, _slash, rest = address.removeprefix("/api/v1/").partition("/")
        make = {"": api_examples.of_list, "{id}/": api_examples.of_row}.get(rest)
        if make is not None and resource in api_examples.EXAMPLES:
            answers = operations["get"]["responses"]
            answers["200"]["content"]["application/json"]["example"] = make(resource)
            answers["304"] = _UNCHANGED
        elif "post" in operations and resource in api_examples.EXAMPLES:
            operations["post"]["requestBody"]["content"]["application/json"]["example"] = _REASON
            answer = operations["post"]["responses"]["200"]["content"]["application/json"]
            answer["example"] = api_examples.of_row(resource)
    return result


def add_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Tell of each operation that its errors have the one shape."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = _ANSWER
    return result
