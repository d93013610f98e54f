"""Domains, AppJWT and ConsumerJWS."""

import base64
import json

import pytest
import requests


def claims(token, part=1):
    piece = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))


# -- domains


@pytest.mark.parametrize("suffix", ["baseURI.json", "baseURI"])
def test_all_domains_name_the_host_and_port_that_was_asked(simulator, suffix):
    answer = requests.get(f"{simulator.url}/api/account/12345678/service/{suffix}", params={"version": "1.0"}).json()
    hosts = {one["service"]: one["baseURI"] for one in answer["baseURIs"]}
    assert {"asyncMessagingEnt", "sentinel", "idp", "swift"} <= set(hosts)
    assert set(hosts.values()) == {simulator.url.removeprefix("http://")}


@pytest.mark.parametrize("suffix", ["baseURI.json", "baseURI"])
def test_one_domain_is_a_bare_object(simulator, suffix):
    answer = requests.get(f"{simulator.url}/api/account/12345678/service/idp/{suffix}").json()
    assert answer == {"service": "idp", "account": "12345678", "baseURI": simulator.url.removeprefix("http://")}


def test_unknown_service_and_site_are_refused(simulator):
    assert requests.get(f"{simulator.url}/api/account/1/service/IDP/baseURI.json").status_code == 400
    assert requests.get(f"{simulator.url}/api/account/a-b/service/baseURI.json").status_code == 401


# -- AppJWT


@pytest.mark.parametrize("variant", ["A", "B", "C", "D"])
def test_every_documented_way_to_ask_for_a_token_works(simulator, variant):
    made = simulator.install("12345678")
    grant = {"grant_type": "client_credentials"}
    path = f"{simulator.url}/sentinel/api/account/12345678/app/token"
    query, form = {
        "A": ({"v": "1.0", **grant, **made}, None),
        "B": ({"v": "1.0", **grant}, made),
        "C": ({"v": "1.0"}, {**grant, **made}),
        "D": ({}, {**grant, **made}),
    }[variant]
    if variant == "D":
        path = path.replace("/api/account", "/api/v2/account")
    answer = requests.post(path, params=query, data=form)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    token = answer.json()["access_token"]
    assert claims(token, 0)["alg"] == "RS256"
    found = claims(token)
    assert (found["aud"], found["azp"], found["scope"]) == ("12345678", made["client_id"], "msg.consumer")
    assert (found["iss"], found["exp"] - found["iat"]) == ("Sentinel", 3600)


def test_wrong_credentials_are_refused_as_oauth_says(simulator):
    connector = simulator.connector()
    wrong = connector.token(client_secret="x")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    unknown = connector.token(client_id="00000000-0000-4000-8000-000000000000")
    assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_client")
    missing = connector.token(client_secret="")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    grant = requests.post(
        f"{simulator.url}/sentinel/api/account/{connector.account}/app/token",
        params={"v": "1.0", "grant_type": "password"},
        data={"client_id": connector.client_id, "client_secret": connector.client_secret},
    )
    assert (grant.status_code, grant.json()["error"]) == (400, "unsupported_grant_type")


def test_an_unknown_account_comes_into_being_and_refuses_the_unknown_install(simulator):
    answer = requests.post(
        f"{simulator.url}/sentinel/api/account/77/app/token",
        params={"v": "1.0", "grant_type": "client_credentials"},
        data={"client_id": "x", "client_secret": "y"},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "77" in [one["account"] for one in simulator.control("GET", "accounts")["accounts"]]


def test_a_disabled_install_gets_no_token(simulator):
    connector = simulator.connector()
    simulator.control("PATCH", f"accounts/{connector.account}/installs/{connector.client_id}", {"enabled": False})
    assert connector.token().status_code == 403


def test_a_rotated_secret_replaces_the_old_one(simulator):
    connector = simulator.connector()
    path = f"accounts/{connector.account}/installs/{connector.client_id}"
    fresh = simulator.control("PATCH", path, {"rotate_secret": True})["client_secret"]
    assert fresh != connector.client_secret
    assert connector.token().status_code == 401
    connector.client_secret = fresh
    assert connector.token().status_code == 200


# -- ConsumerJWS


def test_a_consumer_token_has_three_claims_and_a_stable_id(simulator):
    connector = simulator.connector()
    first = claims(connector.consumer("sms:+1"))
    connector.consumers.clear()
    assert claims(connector.consumer("sms:+1")) == first
    assert set(first) == {"account_id", "ext_consumer_id", "lp_consumer_id"}
    assert (first["account_id"], first["ext_consumer_id"]) == (connector.account, "sms:+1")
    assert len(first["lp_consumer_id"]) == 64
    assert int(first["lp_consumer_id"], 16) >= 0
    assert claims(connector.consumer("sms:+2"))["lp_consumer_id"] != first["lp_consumer_id"]


def test_a_consumer_needs_an_id_and_an_app_token(simulator):
    connector = simulator.connector()
    path = f"{simulator.url}/api/account/{connector.account}/consumer"
    assert requests.post(path, json={}, headers={"Authorization": connector.app_jwt}).status_code == 400
    missing = requests.post(path, json={"ext_consumer_id": "x"})
    assert (missing.status_code, missing.json()["body"]["errorCode"]) == (401, 40105)


# -- the errors of both endpoints


def error_of(answer):
    found = answer.json()
    assert (found["kind"], found["type"], found["code"]) == ("resp", ".ReqBody$ErrorResp", answer.status_code)
    return answer.status_code, found["body"]["errorCode"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": None}, (401, 40105)),
        ({"Authorization": "x.y.z"}, (401, 40102)),
        ({"X-LP-ON-BEHALF": None}, (401, 40104)),
        ({"X-LP-ON-BEHALF": "x.y.z"}, (401, 40103)),
    ],
)
@pytest.mark.parametrize("path", ["conversation", "conversation/send"])
def test_tokens_are_checked_on_both_endpoints(simulator, path, headers, expected):
    connector = simulator.connector()
    assert error_of(connector.call(path, [], headers=headers)) == expected


def test_tokens_of_another_account_are_refused(simulator):
    connector, other = simulator.connector("1"), simulator.connector("2")
    assert error_of(connector.call("conversation", [], headers={"Authorization": other.app_jwt})) == (401, 40102)
    foreign = {"X-LP-ON-BEHALF": other.consumer()}
    assert error_of(connector.call("conversation", [], headers=foreign)) == (401, 40103)


def test_a_bearer_prefix_is_tolerated(simulator):
    connector = simulator.connector()
    answer = connector.call("conversation", connector.batch(), headers={"Authorization": f"Bearer {connector.app_jwt}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("what", "code"), [("app", 40102), ("consumer", 40103)])
def test_tokens_can_be_made_to_expire(simulator, what, code):
    connector = simulator.connector()
    connector.consumer()
    simulator.control("PATCH", f"accounts/{connector.account}", {"expire_tokens": what})
    assert error_of(connector.call("conversation", [])) == (401, code)
    connector.app_jwt = connector.token().json()["access_token"]
    connector.consumers.clear()
    assert connector.open()


def test_tokens_end_with_a_reset(simulator):
    connector = simulator.connector()
    connector.consumer()
    simulator.control("POST", "reset")
    assert error_of(connector.call("conversation", [])) == (401, 40102)
