"""Where we may call: hosts, ports, and the addresses that names resolve to."""

import ipaddress

import pytest

from core.errors import NotSent
from core.http import HttpClient, OutboundPolicy
from core.http_guard import is_global

LIVEPERSON = OutboundPolicy(("liveperson.net", ".lpsnmedia.example"))
ANY_HOST = OutboundPolicy(None)
LOCAL = OutboundPolicy(("liveperson.net",), allow_private=True)

# Every one of them is a way to write an address inside, or to look like a host that is allowed.
REFUSED = [
    "https://127.0.0.1/",
    "https://127.0.0.2/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0.0.0.0/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://192.88.99.1/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a00:1::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "http://va.msg.liveperson.net/",
    "ftp://va.msg.liveperson.net/",
    "file:///etc/passwd",
    "//va.msg.liveperson.net/",
    "va.msg.liveperson.net",
    "https://user@va.msg.liveperson.net/",
    "https://user:pass@va.msg.liveperson.net/",
    "https://va.msg.liveperson.net@evil.example/",
    "https://evil.example\\@va.msg.liveperson.net/",
    "https://va.msg.liveperson.net\\.evil.example/",
    "https://va.msg.liveperson.net#@evil.example/",
    "https://va.msg.liveperson.net:0/",
    "https://va.msg.liveperson.net:22/",
    "https://va.msg.liveperson.net:80/",
    "https://va.msg.liveperson.net:99999/",
    "https://va.msg.liveperson.net:443:22/",
    "https://va.msg.liveperson.net /",
    "https://va.msg.liveperson.net\r\nHost: evil.example/",
    "https://va.msg.livep\u0435rson.net/",
    "https://va.msg.liveperson\u3002net/",
    "https://\u24db\u24d8\u24e5eperson.net/",
    "https://%6c%6f%63alhost/",
    "https://-liveperson.net/",
    "https://va..liveperson.net/",
    f"https://{'a' * 64}.liveperson.net/",
    "https:///path",
    "https://",
    "",
]


@pytest.mark.parametrize("policy", [LIVEPERSON, ANY_HOST], ids=["liveperson", "any host"])
@pytest.mark.parametrize("url", REFUSED)
def test_an_address_inside_or_in_disguise_is_refused_before_any_name_is_resolved(
    url: str, policy: OutboundPolicy
) -> None:
    asked = []
    client = HttpClient(policy, resolve=lambda host, port: asked.append(host) or ["127.0.0.1"])
    with pytest.raises(NotSent):
        client.request("GET", url)
    assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://liveperson.net.evil.example/",
        "https://evilliveperson.net/",
        "https://liveperson.com/",
        "https://xn--lveperson-n6a.net/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://va.msg.liveperson.net:8443/",
    ],
)
def test_only_names_below_the_allowed_ones_are_called(url: str) -> None:
    with pytest.raises(NotSent):
        LIVEPERSON.check_url(url)


@pytest.mark.parametrize(
    ("policy", "url", "expected"),
    [
        (LIVEPERSON, "https://liveperson.net", ("https", "liveperson.net", 443)),
        (LIVEPERSON, "HTTPS://VA.msg.LivePerson.NET:443/a?b=c", ("https", "va.msg.liveperson.net", 443)),
        (LIVEPERSON, "https://cdn.lpsnmedia.example?x=1", ("https", "cdn.lpsnmedia.example", 443)),
        (ANY_HOST, "https://gateway.example:8443/hook", ("https", "gateway.example", 8443)),
        (ANY_HOST, "https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443)),
        (ANY_HOST, "https://1.1.1.1/", ("https", "1.1.1.1", 443)),
        (LOCAL, "http://127.0.0.1:8100/a", ("http", "127.0.0.1", 8100)),
        (LOCAL, "http://localhost:8100", ("http", "localhost", 8100)),
        (LOCAL, "http://[::1]:8100/", ("http", "::1", 8100)),
        (LOCAL, "https://api.liveperson.net/", ("https", "api.liveperson.net", 443)),
    ],
)
def test_what_is_allowed_is_taken_apart(policy: OutboundPolicy, url: str, expected: tuple[str, str, int]) -> None:
    target = policy.check_url(url)
    assert (target.scheme, target.host, target.port) == expected


def test_private_does_not_mean_any_public_host() -> None:
    with pytest.raises(NotSent):
        LOCAL.check_url("https://evil.example/")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "10.0.0.1"],
        ["2606:4700::1111", "::1"],
        ["::ffff:192.168.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:c0a8:1::"],
        ["fe80::1%eth0"],
        ["not an address"],
        [],
    ],
)
def test_a_name_that_leads_inside_is_not_called(addresses: list[str]) -> None:
    client = HttpClient(LIVEPERSON, resolve=lambda host, port: addresses)
    with pytest.raises(NotSent) as caught:
        client.request("GET", "https://va.msg.liveperson.net/secret-path?secret=1")
    assert "va.msg.liveperson.net" in caught.value.detail
    assert "secret" not in caught.value.detail


def test_the_address_that_was_judged_is_the_one_that_is_used() -> None:
    """A resolver that answers differently the second time is not asked a second time."""
    answers = iter([["10.0.0.1"], ["1.1.1.1"]])
    asked = []

    def rebind(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with pytest.raises(NotSent):
        HttpClient(LIVEPERSON, resolve=rebind).request("GET", "https://va.msg.liveperson.net/")
    assert asked == ["va.msg.liveperson.net"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),  # the usual way to 8.8.8.8 from a network without IPv4
        ("2002:808:808::1", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("100.127.255.255", False),
        ("2001:0:808:808::1", False),
    ],
)
def test_addresses_inside_addresses_are_judged_by_what_is_inside(address: str, expected: bool) -> None:
    assert is_global(ipaddress.ip_address(address)) is expected
