import json

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from connector_site import errors


def fail(request: HttpRequest, kind: str) -> HttpResponse:
    raise {"400": SuspiciousOperation, "403": PermissionDenied, "500": RuntimeError}[kind]("the reason")


urlpatterns = [path("api/v1/fail/<kind>/", fail), path("fail/<kind>", fail)]
handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
CASES = [("400", "bad_request"), ("403", "forbidden"), ("500", "server_error")]


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("kind", "code"), CASES)
def test_programs_get_one_shape(visitor: Client, kind: str, code: str) -> None:
    answer = visitor.get(f"/api/v1/fail/{kind}/")
    body = json.loads(answer.content)
    assert (answer.status_code, body["code"], set(body)) == (int(kind), code, {"code", "detail", "correlation_id"})
    assert body["correlation_id"] == answer["X-Correlation-Id"]
    assert "the reason" not in answer.content.decode()


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("kind", "code"), CASES)
def test_people_get_a_page_with_the_id_to_quote(visitor: Client, kind: str, code: str) -> None:
    answer = visitor.get(f"/fail/{kind}")
    assert (answer.status_code, answer["Content-Type"]) == (int(kind), "text/html; charset=utf-8")
    assert answer["X-Correlation-Id"] in answer.content.decode()


@pytest.mark.parametrize("address", ["/api/v1/none", "/nothing"])
def test_what_is_not_there_is_404(visitor: Client, address: str) -> None:
    assert visitor.get(address).status_code == 404
