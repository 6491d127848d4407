"""API keys, and the signatures that requests and handshakes carry."""

import base64
import binascii
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kalshiflow.settings import Settings, SettingsError

KEY_HEADER = "KALSHI-ACCESS-KEY"
TIMESTAMP_HEADER = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER = "KALSHI-ACCESS-SIGNATURE"

PrivateKey = rsa.RSAPrivateKey | Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | Ed25519PublicKey
KeyKind = Literal["rsa", "ed25519"]

_SALT_LENGTH = 32


class Credentials:
    """A key id with its private key. The private half appears in no repr and no error."""

    __slots__ = ("_private_key", "key_id")

    def __init__(self, key_id: str, private_key: PrivateKey) -> None:
        self.key_id = key_id
        self._private_key = private_key

    @classmethod
    def from_settings(cls, settings: Settings) -> "Credentials":
        """Read the key that the variables name; raises `SettingsError` where it cannot be used."""
        key_id = settings.require("KALSHI_API_KEY_ID")
        content = settings.kalshi_private_key_content
        if content is not None:
            # Environment files hold a PEM on one line, with its line ends written out.
            return cls.from_pem(key_id, content.replace("\\n", "\n"))
        path: Path = settings.require("KALSHI_PRIVATE_KEY_PATH")
        try:
            text = path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as unreadable:
            raise SettingsError(
                f"KALSHI_PRIVATE_KEY_PATH: {path} cannot be read ({type(unreadable).__name__})"
            ) from None
        return cls.from_pem(key_id, text)

    @classmethod
    def from_pem(cls, key_id: str, pem: str) -> "Credentials":
        """Read an unencrypted PEM (RSA or Ed25519); raises `SettingsError` for anything else."""
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, rsa.RSAPrivateKey | Ed25519PrivateKey):
            # The chain is cut: the parser's own words may quote the key.
            raise SettingsError(
                "the private key is not an unencrypted RSA or Ed25519 key in PEM form"
            ) from None
        return cls(key_id, key)

    @property
    def public_key(self) -> PublicKey:
        """Give the public half."""
        return self._private_key.public_key()

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Sign one request: `path` begins with /trade-api, `now_ms` is Unix milliseconds."""
        timestamp = str(now_ms)
        signature = self._sign(_message(timestamp, method, path))
        return {
            KEY_HEADER: self.key_id,
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"),
        }

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self._private_key, Ed25519PrivateKey):
            return self._private_key.sign(message)
        return self._private_key.sign(message, _padding(), hashes.SHA256())

    def __repr__(self) -> str:
        return f"Credentials({self.key_id!r})"


def generate_key(kind: KeyKind = "rsa") -> tuple[str, PublicKey]:
    """Make a new key: the private half as PEM, and the public half."""
    private_key: PrivateKey
    if kind == "ed25519":
        private_key = Ed25519PrivateKey.generate()
    else:
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode("ascii"), private_key.public_key()


def verify(
    public_key: PublicKey, timestamp_ms: str, method: str, path: str, signature_b64: str
) -> bool:
    """Say whether a signature is the key's own for this request; never raises for a bad one."""
    message = _message(timestamp_ms, method, path)
    try:
        signature = base64.b64decode(signature_b64, validate=True)
        if isinstance(public_key, Ed25519PublicKey):
            public_key.verify(signature, message)
        else:
            public_key.verify(signature, message, _padding(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _message(timestamp: str, method: str, path: str) -> bytes:
    bare = path.partition("?")[0]  # the query is never signed
    return f"{timestamp}{method.upper()}{bare}".encode()


def _padding() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=_SALT_LENGTH)
