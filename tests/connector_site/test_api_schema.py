"""The OpenAPI document is valid, complete, and served from our own host alone."""

from __future__ import annotations

import io
import json
import re
import uuid

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.validation import validate_schema
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import OpenAPIV30SpecValidator

from access.rest.facts import on_request
from connector_site.api_examples import EXAMPLES
from connector_site.api_urls import router
from conversations.api_views import MessageList

LISTS = {
    "brands", "accounts", "installations", "channels", "consumers", "conversations", "messages", "deliveries",
    "dispatches", "attempts", "audit-log",
}  # fmt: skip

QUESTIONS = {"/api/v1/usage/", "/api/v1/find/", "/api/v1/trace/", "/api/v1/messages/{id}/trace/"}
ACTS = {f"/api/v1/dispatches/{{id}}/{act}/" for act in ("resend", "resolve", "drop")} | {
    f"/api/v1/installations/{{id}}/{act}/" for act in ("pause", "resume")
}


@pytest.fixture(scope="module")
def document() -> dict:
    answer = Client().get("/api/v1/schema/?format=json")
    assert answer.status_code == 200
    return json.loads(answer.content)


def test_the_document_is_made_without_a_warning():
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    assert out.getvalue().startswith("openapi: 3.")


def test_the_document_is_valid_openapi(document):
    validate_schema(document)
    OpenAPIV30SpecValidator(document).validate()


def test_every_list_is_described_with_its_row_and_nothing_else_is(document):
    wanted = {f"/api/v1/{name}/{rest}" for name in LISTS for rest in ("", "export/", "{id}/")}
    assert set(document["paths"]) == wanted | QUESTIONS | ACTS
    for address, operations in document["paths"].items():
        assert set(operations) == ({"post"} if address in ACTS | {"/api/v1/find/"} else {"get"})


def test_every_act_is_described_with_its_header_its_body_and_its_answer(document):
    for address in ACTS:
        act = document["paths"][address]["post"]
        described = {entry["name"]: entry for entry in act["parameters"]}
        assert set(described) == {"id", "Idempotency-Key"}
        assert (described["Idempotency-Key"]["in"], described["Idempotency-Key"]["required"]) == ("header", True)
        assert set(act["requestBody"]["content"]) == {"application/json"}
        assert act["requestBody"]["required"]
        assert set(act["responses"]) == {"200", "default"}
        content = act["responses"]["200"]["content"]["application/json"]
        OAS30ReadValidator({"components": document["components"], **content["schema"]}).validate(content["example"])


def test_every_operation_asks_for_a_key_and_tells_of_errors(document):
    scheme = document["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["security"] == [{"apiKey": []}]
            assert "Error" in json.dumps(operation["responses"]["default"])
    assert set(document["components"]["schemas"]["Error"]["required"]) == {"code", "detail", "correlation_id"}


_EVERYWHERE = {"brand", "since", "created_after", "created_before", "cursor", "page_size", "fields"}


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        ("conversations", {"account", "channel", "consumer", "state"}),
        ("messages", {"account", "channel", "consumer", "conversation", "direction", "status", "kind", "audience"}),
    ],
)
def test_every_parameter_is_described(document, name, filters):
    described = {entry["name"]: entry for entry in document["paths"][f"/api/v1/{name}/"]["get"]["parameters"]}
    assert set(described) == filters | _EVERYWHERE
    assert all(entry["schema"] for entry in described.values())
    assert all(entry.get("description") for entry in described.values())
    assert described["page_size"]["schema"]["maximum"] == 500
    assert described["created_after"]["schema"]["format"] == "date-time"


@pytest.mark.parametrize("name", sorted(LISTS))
def test_every_answer_has_an_example_that_is_one(document, name):
    for address in (f"/api/v1/{name}/", f"/api/v1/{name}/{{id}}/"):
        content = document["paths"][address]["get"]["responses"]["200"]["content"]["application/json"]
        OAS30ReadValidator({"components": document["components"], **content["schema"]}).validate(content["example"])
        for row in content["example"].get("results", [content["example"]]):
            assert uuid.UUID(row["id"]).version == 7
            assert row["links"]["self"].endswith(f"/api/v1/{name}/{row['id']}/")


@pytest.mark.parametrize("name", sorted(LISTS))
def test_an_example_tells_all_members_that_a_row_tells_unasked(document, name):
    content = document["paths"][f"/api/v1/{name}/{{id}}/"]["get"]["responses"]["200"]["content"]["application/json"]
    view = next(view for resource, view, _ in router.registry if resource == name)
    serializer = view(action="retrieve").get_serializer_class()
    unasked = [member for member in serializer().fields if member not in on_request(serializer)]
    assert set(content["example"]) == set(unasked)


def test_the_examples_belong_together():
    """Every link among them leads to another one of them."""
    known = {example["links"]["self"] for example in EXAMPLES.values()}
    assert {link for example in EXAMPLES.values() for link in example["links"].values()} <= known


def test_what_was_said_has_one_member_which_is_told_only_to_who_asks(document):
    fields = set(document["components"]["schemas"]["Message"]["properties"])
    assert fields & {"text", "content", "attachments", "element", "quick_replies", "metadata"} == {"content"}
    assert on_request(MessageList.serializer_class) == ("content",)


def test_the_pages_load_nothing_from_another_host():
    page = Client().get("/api/v1/docs/")
    assert page.status_code == 200
    script = Client().get("/api/v1/docs/?script=")
    for text in (page.content.decode(), script.content.decode()):
        assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", text)
    assert "/static/drf_spectacular_sidecar/" in page.content.decode()


def test_the_document_comes_as_yaml_too():
    answer = Client().get("/api/v1/schema/")
    assert answer.status_code == 200
    assert answer.content.startswith(b"openapi: 3.")


def test_what_the_reader_puts_into_the_query_never_gets_into_a_header():
    for version in ("%00", "%0d%0aX-Evil:1", "a%22b"):
        answer = Client().get(f"/api/v1/schema/?version={version}")
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"] == 'inline; filename="Connector Site (1).yaml"'
