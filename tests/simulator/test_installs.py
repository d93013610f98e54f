"""App installs: the manifest's rules and the configuration API."""

import pytest
import requests

from .client import EVENTS, manifest


def base(simulator):
    return f"{simulator.url}/api/account/12345678/configuration/app-install/installations"


ADMIN = {"Authorization": "Bearer session"}


def test_a_partial_manifest_is_completed(simulator):
    made = simulator.install("12345678", {"display_name": "Parcel SMS"})
    assert len(made["client_secret"]) == 26
    listed = requests.get(base(simulator), headers=ADMIN, params={"v": "1.0"}).json()
    assert listed[0]["display_name"] == "Parcel SMS"
    assert listed[0]["scope"] == "msg.consumer"
    assert listed[0]["client_id"] == listed[0]["id"] == made["client_id"]
    assert listed[0]["client_secret"] == made["client_secret"]
    assert (listed[0]["client_secret_expires_at"], listed[0]["deleted"]) == (0, False)


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {"colour": "red"},
        {"client_name": "x" * 129},
        {"enabled": "yes"},
        {"capabilities": {"webhooks": {"ms.Other": {"endpoint": "https://a.test/"}}}},
        {"capabilities": {"webhooks": {EVENTS[0]: {}}}},
        {"capabilities": {"webhooks": {EVENTS[0]: {"endpoint": "http://a.test/"}}}},
        {"capabilities": {"webhooks": {EVENTS[0]: {"endpoint": "ftp://127.0.0.1/"}}}},
        {"capabilities": {"webhooks": {EVENTS[0]: {"endpoint": "https://a.test/", "max_retries": 6}}}},
        {"capabilities": {"webhooks": {EVENTS[0]: {"endpoint": "https://a.test/", "headers": [{"x": "y"}]}}}},
        {"capabilities": {"webhooks": {"retry": {"retention_time": 1}}}},
        {"capabilities": {"webhooks": {"retry": {"retention_time": 259201}}}},
    ],
)
def test_broken_manifests_are_refused(simulator, broken):
    assert simulator.control("POST", "accounts/12345678/installs", broken, expect=400)["error"].endswith(".")
    assert requests.post(base(simulator), json=broken, headers=ADMIN).status_code == 400
    assert requests.get(base(simulator), headers=ADMIN).json() == []


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/", "https://a.test/?b=1"]
)
def test_plain_http_is_for_loopback(simulator, endpoint):
    assert simulator.install("1", manifest(endpoint))["client_id"]


def test_a_client_name_is_unique_on_the_account(simulator):
    simulator.install("1", {"client_name": "a"})
    simulator.control("POST", "accounts/1/installs", {"client_name": "a"}, expect=400)
    simulator.install("2", {"client_name": "a"})


def test_members_are_replaced_each_as_a_whole(simulator, receiver):
    connector = simulator.connector(body=manifest(receiver.url))
    path = f"accounts/{connector.account}/installs/{connector.client_id}"
    simulator.control("PATCH", path, {"capabilities": {"webhooks": {EVENTS[1]: {"endpoint": receiver.url}}}})
    connector.open()
    assert simulator.webhooks() == []
    simulator.control("PATCH", path, {"colour": "red"}, expect=400)
    simulator.control("PATCH", path, {"rotate_secret": "yes"}, expect=400)
    simulator.control("PATCH", f"accounts/{connector.account}/installs/none", {}, expect=404)


def test_the_configuration_api_needs_a_bearer(simulator):
    assert requests.get(base(simulator)).status_code == 401
    assert requests.get(base(simulator), headers={"Authorization": "Bearer "}).status_code == 401


def test_an_install_is_made_changed_and_deleted(simulator):
    made = requests.post(base(simulator), json={"client_name": "a"}, headers=ADMIN)
    assert made.status_code == 201
    one = f"{base(simulator)}/{made.json()['id']}"
    read = requests.get(one, headers=ADMIN)
    revision = read.headers["ac-revision"]
    fresh = {**read.json(), "client_name": "b"}
    assert requests.put(one, json=fresh, headers=ADMIN).status_code == 412
    changed = requests.put(one, json=fresh, headers={**ADMIN, "If-Match": revision, "X-HTTP-Method-Override": "PUT"})
    assert (changed.status_code, changed.json()["client_name"]) == (200, "b")
    assert changed.json()["client_secret"] == made.json()["client_secret"]
    assert requests.delete(one, headers={**ADMIN, "If-Match": revision}).status_code == 412
    latest = changed.headers["ac-revision"]
    assert requests.delete(one, headers={**ADMIN, "If-Match": latest}).json()["deleted"] is True
    assert requests.get(one, headers=ADMIN).status_code == 404
