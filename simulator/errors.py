"""What the simulator answers when it refuses: LivePerson's shapes on the API, a sentence on the control API."""

from typing import Any


class ApiError(Exception):
    """A refusal of the LivePerson API, with the exact status and JSON body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"The API refuses with {status}.")
        self.status = status
        self.body = body


class ControlError(Exception):
    """A refusal of the control API: the sentence says what to change in the call."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


# developers.liveperson.com/sendapi-error-codes.html; the first three digits are the HTTP status
_AUTH_ERRORS = {
    40001: ("Missing parameter", "Brand Id is missing"),
    40102: ("Invalid AppJWT", "AppJWT has expired or is invalid"),
    40103: ("Invalid ConsumerJWS", "ConsumerJWS is invalid"),
    40104: ("ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present"),
    40105: ("AppJWT is missing", "AUTHORIZATION header is not present"),
}

ITEM_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    413: "REQUEST_ENTITY_TOO_LARGE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}


def auth_error(error_code: int) -> ApiError:
    title, details = _AUTH_ERRORS[error_code]
    status = error_code // 100
    body = {"title": title, "details": details, "errorCode": error_code}
    return ApiError(status, {"kind": "resp", "code": status, "type": ".ReqBody$ErrorResp", "body": body})


def item(code: str, body: dict[str, Any], request_id: Any) -> dict[str, Any]:
    """One answer of CONVERSATION or SEND; reqId is a string even where the request's id was a number."""
    return {"code": code, "body": body, "reqId": "" if request_id is None else str(request_id)}


def bad_request(request_id: Any, *, msg: str = "Bad Request", status: int = 400) -> ApiError:
    return ApiError(status, item(ITEM_CODES.get(status, "BAD_REQUEST"), {"msg": msg}, request_id))
