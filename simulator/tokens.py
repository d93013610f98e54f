"""RS256 tokens and the other keys of the simulator, which outlast every restart and reset."""

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .journal import encode

_CACHE_SIZE = 50_000


def _write_private(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    os.replace(fresh, path)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Keys:
    """The RSA key of Sentinel and IDP, and one secret for consumer ids and file URLs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._key = self._load_rsa(folder / "sentinel.pem")
        self._secret = self._load_secret(folder / "secret.hex")
        self._public = self._key.public_key()
        self._read: dict[str, tuple[dict, dict] | None] = {}

    @staticmethod
    def _load_rsa(path: Path) -> rsa.RSAPrivateKey:
        if not path.exists():
            fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            private = serialization.NoEncryption()
            _write_private(
                path, fresh.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, private)
            )
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise SystemExit(f"{path} holds no RSA key: remove it and start again.")
        return key

    @staticmethod
    def _load_secret(path: Path) -> bytes:
        if not path.exists():
            _write_private(path, secrets.token_hex(32).encode())
        return bytes.fromhex(path.read_text())

    def sign(self, *, kid: str, claims: dict[str, Any]) -> str:
        header = _b64(encode({"kid": kid, "typ": "JWT", "alg": "RS256"}))
        signed = f"{header}.{_b64(encode(claims))}"
        return f"{signed}.{_b64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def read(self, token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return (header, claims) of a token signed by this key, else None. Expiry is the caller's to judge."""
        if token in self._read:
            return self._read[token]
        if len(self._read) >= _CACHE_SIZE:
            self._read.clear()
        self._read[token] = found = self._verify(token)
        return found

    def _verify(self, token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        try:
            head, payload, signature = token.split(".")
            self._public.verify(_unb64(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
            header, claims = json.loads(_unb64(head)), json.loads(_unb64(payload))
        except (ValueError, InvalidSignature):
            return None
        return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None

    def digest(self, *parts: str) -> str:
        """64 hex characters that only this simulator can compute: consumer ids and the like."""
        return hmac.new(self._secret, "\0".join(parts).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def temp_url_signature(self, *, method: str, expires: str, path: str) -> str:
        """Swift's own convention: hex HMAC-SHA1 over method, expiry and path, a line each."""
        return hmac.new(self._secret, f"{method}\n{expires}\n{path}".encode(), hashlib.sha1).hexdigest()
