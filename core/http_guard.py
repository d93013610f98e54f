"""
Where we may call: the rule for URLs, and the rule for the addresses that their names resolve to.

Both are needed. A harmless name can resolve to an address inside our network, and it can do so only the second time it
is asked; so the address that was judged is the one that is connected to (see core/http.py).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from core.errors import NotSent

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# No user, no fragment, no backslash, no space, no control character, nothing outside ASCII: what one parser reads as
# part of the host another reads as part of the path, and look-alike letters pass for ours.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>[/?][!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Reserved for relays and tunnels: an address in them leads somewhere else than it says.
_NEVER = (
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("::/96"),
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("64:ff9b:1::/48"),
)
# Any-host policies may also use the customary second port of HTTPS; LivePerson's own hosts have no use for it.
_PORTS, _PORTS_ANY_HOST = (443,), (443, 8443)


class AddressRefused(NotSent):
    """An address that our own rules do not let us call."""

    operator_hint = "Change the address, or the setting that says which hosts may be called."


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL that the policy allows, taken apart."""

    scheme: str
    host: str  # lower case, an IPv6 address without its brackets
    port: int


@dataclass(frozen=True)
class OutboundPolicy:
    """
    host_suffixes: the names that may be called and all names below them, such as ("liveperson.net",); None for any.
    allow_private: loopback and private addresses may be called, on any port, and plain http is allowed.
    setting: the name of the setting that lists host_suffixes, for the sentence that refuses a host.
    """

    host_suffixes: tuple[str, ...] | None
    allow_private: bool = False
    setting: str = ""

    def check_url(self, url: str) -> Target:
        """Take a URL apart. Raises AddressRefused when it may not be called."""
        match = _URL.fullmatch(url)
        if match is None or "#" in url or "\\" in url:
            raise AddressRefused(
                "The address was not called: it must be http(s)://host/path in ASCII, without a user name, a "
                "fragment or spaces (write an international name in its xn-- form)."
            )
        scheme, host = match["scheme"].lower(), match["host"].lower()
        port = int(match["port"] or (443 if scheme == "https" else 80))
        target = Target(scheme=scheme, host=host.strip("[]"), port=port)
        self._check_host(target.host)
        self._check_transport(target)
        return target

    def is_private(self, host: str) -> bool:
        """Tell whether a host names, by itself, a machine that only `allow_private` lets us call."""
        literal = _literal(host)
        return not is_global(literal) if literal is not None else host == "localhost" or host.endswith(".localhost")

    def check_addresses(self, host: str, addresses: list[str]) -> None:
        """Judge what a name resolved to. Raises NotSent for none, AddressRefused unless all may be connected to."""
        if not addresses:
            raise NotSent(f"The name {host} has no address. Check it for a typing error.")
        if self.allow_private:
            return
        for address in addresses:
            literal = _parsed(address)
            if literal is None or not is_global(literal):
                raise AddressRefused(f"{host} was not called: it leads to an address that is not public.")

    def _check_host(self, host: str) -> None:
        literal = _literal(host)
        if literal is None and not _is_name(host):
            raise AddressRefused("The address was not called: its host is not a plain name or address.")
        if self.is_private(host):
            if not self.allow_private:
                raise AddressRefused(f"{host} was not called: it is not on the public Internet.")
            return
        if self.host_suffixes is None:
            return
        suffixes = tuple(suffix.lower().strip(".") for suffix in self.host_suffixes)
        if literal is not None or not any(host == suffix or host.endswith("." + suffix) for suffix in suffixes):
            source = f"the setting {self.setting} names" if self.setting else "the site's settings allow"
            raise AddressRefused(f"{host} was not called: it is not one of the hosts that {source}, nor below one.")

    def _check_transport(self, target: Target) -> None:
        if target.port > 65535:
            raise AddressRefused(f"{target.host} was not called: there is no port {target.port}.")
        if self.allow_private:
            return
        if target.scheme != "https":
            raise AddressRefused(f"{target.host} was not called: its address must start with https.")
        ports = _PORTS if self.host_suffixes is not None else _PORTS_ANY_HOST
        if target.port not in ports:
            allowed = " or ".join(map(str, ports))
            raise AddressRefused(f"{target.host} was not called: its port must be {allowed}, not {target.port}.")


def is_global(address: IPAddress) -> bool:
    """Tell whether an address is on the public Internet; addresses wrapped in others are judged by what is inside."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_global(inner)
        if address.is_site_local:
            return False
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    )


def _literal(host: str) -> IPAddress | None:
    """A host that is an address in its one canonical way of writing, not as a decimal, octal or hexadecimal number."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _parsed(address: str) -> IPAddress | None:
    # A resolver adds the interface to a link-local address: fe80::1%eth0.
    return _literal(address.partition("%")[0])


def _is_name(host: str) -> bool:
    labels = host.split(".")
    # A last label that is a number makes resolvers read the whole as an address: 2130706433, 0x7f.1, 127.1.
    return all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])
