"""Bad input to the REST API: each is refused with a status of its own, in one shape, with a sentence; none is a 5xx."""

from __future__ import annotations

import base64
import itertools
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import path
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.exceptions import PermissionDenied, Throttled, UnsupportedMediaType, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from access import cursors
from access.cursors import Place
from connector_site import urls
from core.ids import new_id
from tests.access.keys import Program, make_key
from tests.factories import World, make_two_brands, make_world

pytestmark = pytest.mark.django_db

LISTS = ["/api/v1/conversations/", "/api/v1/messages/"]


@pytest.fixture
def amber() -> World:
    return make_world(slug="amber", mark="AMBERXQJ7")


@pytest.fixture
def program(amber) -> Program:
    return Program(amber.auditor)


def assert_refused(answer, status: int, code: str) -> str:
    """It has this status and the one shape of errors; returns its sentence."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    told = answer.json()
    assert sorted(told) == ["code", "correlation_id", "detail"]
    assert told["code"] == code
    assert told["correlation_id"] == answer["X-Correlation-Id"]
    assert told["detail"].endswith(".")
    return told["detail"]


# --- query parameters ------------------------------------------------------------------------------------------------

_HUGE = "9" * 10_000
BAD_PARAMETERS = [
    *(("page_size", value) for value in (
        "1e9", "1000000000", "0", "-1", "501", "", " 5", "5.0", "+5", "0x10", "five", "٥", "²", "\x00", _HUGE,
    )),
    *((name, value) for name in ("brand", "account", "channel", "consumer") for value in (
        "1", "x", "", "\x00", "%00", "../../etc", "null", "'; DROP", _HUGE, "01900000-0000-7000-8000-00000000000g",
    )),
    *((name, value) for name in ("created_after", "created_before") for value in (
        "yesterday", "2026-11-21", "2026-11-21T10:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "99999-01-01T00:00:00Z", "2026-11-21T10:00:00+99:99", "2026-11-21T25:00:00Z", "2026-11-21T10:00:00+24:00",
        "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "2026-W47-6T10:00:00Z", "1763719200",
        "2026-11-21T10:00:00 02:00", "２０２６-11-21T10:00:00Z", "2026-11-21T10:00:00Z\x00", "", _HUGE,
    )),
    *(("cursor", value) for value in (
        "", "x", "=", "AAAA", "cD0yMDI2", "\x00", "ü", "null", _HUGE, base64.b64encode(bytes(32)).decode(),
        base64.urlsafe_b64encode(bytes(range(32))).decode(), "A" * 43, "-_" * 21,
    )),
    *((name, "x") for name in (
        "ordering", "search", "format", "fields", "limit", "offset", "page", "q", "id", "ID", "Brand", "brand__slug",
        "brand_id", "installation__secrets__sealed__startswith", "created_at__gt", "pk__in", "__proto__", "callback",
        "cursor[]", " brand", "key", "token", "\x00", "_method", "scope", "x" * 5_000,
    )),
    ("ordering", "client_secret"), ("ordering", "installation__client_secret"), ("search", "%" * 10_000),
    ("search", "(a+)+$"), ("format", "api"), ("format", "csv"), ("format", "xml"), ("format", "json"),
]  # fmt: skip


def test_bad_parameters_are_refused_with_a_sentence(program):
    for name, value in BAD_PARAMETERS:
        answer = program.get("/api/v1/messages/", {name: value})
        assert answer.status_code == 400, (name, value)
        assert len(assert_refused(answer, 400, "bad_parameter")) < 600, (name, value)
    assert program.get("/api/v1/messages/").status_code == 200


@pytest.mark.parametrize(
    ("address", "name", "value"),
    [
        ("/api/v1/conversations/", "state", "open"),
        ("/api/v1/conversations/", "state", "GONE"),
        ("/api/v1/conversations/", "status", "SENT"),
        ("/api/v1/conversations/", "direction", "TO_CHANNEL"),
        ("/api/v1/conversations/", "conversation", "01a20000-0000-7000-8000-000000000000"),
        ("/api/v1/messages/", "status", "sent"),
        ("/api/v1/messages/", "status", "SENT,READ"),
        ("/api/v1/messages/", "direction", "IN"),
        ("/api/v1/messages/", "state", "OPEN"),
        ("/api/v1/messages/", "conversation", "conv-1"),
    ],
)
def test_words_that_a_list_does_not_know_are_refused(program, address, name, value):
    assert name in assert_refused(program.get(address, {name: value}), 400, "bad_parameter")


def test_the_sentence_names_what_is_known(program):
    detail = assert_refused(program.get("/api/v1/messages/?stats=SENT"), 400, "bad_parameter")
    assert "'stats'" in detail
    assert "status" in detail
    assert "SURVEY" in assert_refused(program.get("/api/v1/conversations/?state=x"), 400, "bad_parameter")


@pytest.mark.parametrize("address", LISTS)
def test_a_parameter_given_twice_is_refused(program, address):
    assert_refused(program.get(f"{address}?page_size=5&page_size=6"), 400, "bad_parameter")
    assert_refused(program.get(f"{address}?brand={new_id()}&brand={new_id()}"), 400, "bad_parameter")


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("query", ["%FF=%FE", "a=%00", "&&&=", "page_size=%0A5", "page_size=5;cursor=x", "%", "=x"])
def test_queries_that_are_hardly_queries_are_refused(program, address, query):
    answer = program.get(f"{address}?{query}")
    assert answer.status_code == 400 or (query in ("&&&=", "%", "=x") and answer.status_code in (200, 400))
    if answer.status_code == 400:
        assert_refused(answer, 400, "bad_parameter")


def test_too_many_parameters_are_refused(program):
    query = "&".join(f"p{number}=1" for number in range(2_000))
    assert_refused(program.get(f"/api/v1/messages/?{query}"), 400, "bad_request")


def test_one_row_takes_no_parameters(program, amber):
    address = f"/api/v1/messages/{amber.from_agent.pk}/"
    assert program.get(address).status_code == 200
    for query in ("fields=text", "format=csv", "expand=content", "page_size=5"):
        assert_refused(program.get(f"{address}?{query}"), 400, "bad_parameter")


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize(
    "row_id",
    ["1", "x", "%00", "null", "..%2F..%2Fetc", "01900000-0000-7000-8000-00000000000g", "9" * 2_000, "%F0%9F%A6%8A"],
)
def test_what_is_not_an_id_does_not_exist(program, address, row_id):
    assert_refused(program.get(f"{address}{row_id}/"), 404, "not_found")


def test_every_cursor_with_one_bit_changed_is_that_of_nothing():
    place = Place(path="/api/v1/messages/", reader_id=str(new_id()), filters=[])
    cursor = cursors.seal(new_id(), place)
    assert cursors.unseal(cursor, place)
    raw = base64.urlsafe_b64decode(cursor + "=")
    for position, bit in itertools.product(range(len(raw)), range(8)):
        forged = bytearray(raw)
        forged[position] ^= 1 << bit
        assert cursors.unseal(base64.urlsafe_b64encode(bytes(forged)).decode().rstrip("="), place) is None


# --- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"x", W/"y", *'},
        {"If-None-Match": "\xff" * 50},
        {"If-Modified-Since": "yesterday"},
        {"Range": "bytes=0-1"},
        {"Range": "bytes=-"},
        {"Range": "rows=1-9999999999"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Accept": "*/*;q=0.1"},
        {"Accept-Language": "x" * 500},
        {"X-Forwarded-For": "1.2.3.4, evil"},
        {"Cookie": "connector_site_session=x"},
    ],
)
def test_odd_headers_change_nothing(program, address, headers):
    plain = program.get(address)
    answer = program.get(address, headers=headers)
    assert (answer.status_code, answer.json()) == (200, plain.json())


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "application/xml", "application/json;q=x;;,", "image/*"])
def test_what_cannot_be_served_in_the_form_asked_for_is_406_or_json(program, accept):
    answer = program.get("/api/v1/messages/", headers={"Accept": accept})
    if answer.status_code != 200:
        assert_refused(answer, 406, "not_acceptable")
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("address", [*LISTS, "/api/v1/schema/", "/api/v1/docs/"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused(program, address, method):
    assert_refused(getattr(program, method)(address), 405, "method_not_allowed")
    assert_refused(getattr(program, method)(f"{address}?state=x"), 405, "method_not_allowed")


def test_answers_are_not_kept_by_caches(program):
    assert program.get("/api/v1/messages/")["Cache-Control"] == "no-store"
    assert program.get("/api/v1/messages/?x=1")["Cache-Control"] == "no-store"


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(amber) -> str:
    return make_key(amber.auditor)


def bad_authorizations(key: str) -> list[str]:
    return [
        "Bearer", "Bearer ", f"Bearer {key} {key}", f"Bearer Bearer {key}", f"Bearer {key}x", f"Bearer {key[:-1]}",
        f"Bearer {key[:-1]}{'0' if key[-1] != '0' else '1'}", f"Bearer {key.upper()}", f"Bearer {key[:15]}",
        "Bearer null", "Bearer \x00", f"Bearer {key[:20]}\x00{key[21:]}", "Bearer ü", "Bearer \xff\xfe",
        "Bearer \xf0\x9f\xa6\x8a",
        f"Bearer {'x' * 10_000}", "Bearer consite_", "Bearer %", "Bearer consite_%%%%%%%%%%%%%%%%%%%%",
        "Bearer ' OR 1=1 --", f"Bearer '{key}'", f"Bearer={key}", f"Bearer,{key}",
    ]  # fmt: skip


@pytest.mark.parametrize("address", LISTS)
def test_what_is_not_a_valid_key_is_401_and_reads_the_same(amber, key, address):
    sentences = set()
    for value in bad_authorizations(key):
        answer = Client(raise_request_exception=False).get(address, headers={"Authorization": value})
        if value.startswith(("Bearer=", "Bearer,")):
            assert_refused(answer, 401, "not_authenticated")
        else:
            sentences.add(assert_refused(answer, 401, "authentication_failed"))
        assert answer["WWW-Authenticate"] == "Bearer"
    assert len(sentences) == 1
    assert Client().get(address, headers={"Authorization": f"bearer  {key}"}).status_code == 200


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Basic eDp5"}, {"X-Api-Key": "x"}])
def test_without_a_key_nothing_is_told(amber, address, headers):
    assert_refused(Client().get(address, headers=headers), 401, "not_authenticated")


def test_a_key_in_the_query_is_not_taken(key):
    for name in ("key", "token", "access_token", "authorization"):
        assert_refused(Client().get(f"/api/v1/messages/?{name}={key}"), 401, "not_authenticated")


def test_a_session_of_the_admin_opens_no_list(amber):
    client = Client()
    client.force_login(amber.owner)
    assert_refused(client.get("/api/v1/messages/"), 401, "not_authenticated")


@pytest.mark.parametrize(
    "change",
    [
        {"expiry": timezone.now() - timedelta(seconds=1)},
        {"expiry": None},
        {"expiry": timezone.now() + timedelta(days=91)},
    ],
    ids=["expired", "without an end", "with an end too far away"],
)
def test_a_key_is_refused_after_its_end_and_when_it_has_none(amber, key, change):
    AuthToken.objects.update(**change)
    answer = Client().get("/api/v1/messages/", headers={"Authorization": f"Bearer {key}"})
    assert_refused(answer, 401, "authentication_failed")


def test_the_key_of_somebody_who_may_no_longer_sign_in_is_refused(amber, key):
    amber.auditor.is_active = False
    amber.auditor.save()
    answer = Client().get("/api/v1/messages/", headers={"Authorization": f"Bearer {key}"})
    assert_refused(answer, 401, "authentication_failed")


def test_a_key_loses_sight_when_its_owner_loses_the_role(amber):
    program = Program(amber.auditor)
    assert program.read("/api/v1/messages/")["results"]
    amber.auditor.memberships.all().delete()
    assert program.read("/api/v1/messages/")["results"] == []


def test_the_database_holds_no_usable_key(key):
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(token::text, ' ') FROM knox_authtoken token")
        stored = cursor.fetchone()[0]
    assert key not in stored
    assert key.removeprefix("consite_") not in stored
    assert key[:15] in stored


# --- the one shape of errors -----------------------------------------------------------------------------------------


class _Broken(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request, what):
        raise {
            "403": PermissionDenied(),
            "415": UnsupportedMediaType("text/x"),
            "429": Throttled(wait=7),
            "invalid": ValidationError({"name": ["Give a name."]}),
            "list": ValidationError(["Give a name."]),
            "500": RuntimeError("the words of a consumer"),
        }[what]

    def post(self, request):
        return Response(request.data)


class _Urls:
    urlpatterns = [path("api/test/<str:what>/", _Broken.as_view()), *urls.urlpatterns]
    handler400, handler403 = urls.handler400, urls.handler403
    handler404, handler500 = urls.handler404, urls.handler500


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("403", 403, "forbidden"),
        ("415", 415, "unsupported_media_type"),
        ("429", 429, "throttled"),
        ("invalid", 400, "bad_parameter"),
        ("list", 400, "bad_parameter"),
        ("500", 500, "server_error"),
    ],
)
def test_every_error_has_the_one_shape(settings, what, status, code):
    settings.ROOT_URLCONF = _Urls
    answer = Client(raise_request_exception=False).get(f"/api/test/{what}/")
    assert "consumer" not in assert_refused(answer, status, code)
    if status == 429:
        assert answer["Retry-After"] == "7"


@pytest.mark.parametrize("address", ["/api/", "/api/v1/", "/api/v2/messages/", "/api/v1/users/", "/api/v1/messages//"])
def test_addresses_that_do_not_exist_answer_in_the_one_shape(program, address):
    assert_refused(program.get(address), 404, "not_found")
    assert_refused(Client().get(address), 404, "not_found")


def test_an_unknown_host_is_refused_in_the_one_shape(program):
    assert_refused(program.get("/api/v1/messages/", headers={"Host": "evil.example"}), 400, "bad_request")


def test_two_brands_never_meet_in_a_cursor():
    amber, birch = make_two_brands()
    cursor = Program(birch.auditor).read("/api/v1/messages/", page_size=1)["next"].partition("cursor=")[2]
    answer = Program(amber.auditor).get("/api/v1/messages/", {"cursor": cursor.partition("&")[0], "page_size": 1})
    assert_refused(answer, 400, "bad_parameter")
