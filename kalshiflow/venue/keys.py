"""The keys that clients of the venue sign with: kept in a folder, made where they are missing."""

import os
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kalshiflow.exchange.credentials import Credentials, KeyKind, PublicKey, generate_key

NAME = "trader"


class KeyFileError(ValueError):
    """A key folder that holds half a key, or none that can be read."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A client's key id, where its private half lies, and its public half."""

    key_id: str
    private_key_path: Path
    public_key: PublicKey


def client_key(folder: Path, name: str = NAME, kind: KeyKind = "rsa") -> ClientKey:
    """Read `NAME.pem` and `NAME.key_id`, or make both (mode 0600) where neither is there."""
    pem_path, id_path = folder / f"{name}.pem", folder / f"{name}.key_id"
    if not pem_path.exists() and not id_path.exists():
        pem, _ = generate_key(kind)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_private(pem_path, pem)
            _write_private(id_path, f"{uuid4()}\n")
        except OSError as problem:
            raise KeyFileError(f"no key can be made in {folder}: {problem.strerror}") from None
    try:
        key_id = id_path.read_text("ascii").strip()
        credentials = Credentials.from_pem(key_id, pem_path.read_text("ascii"))
    except (OSError, ValueError) as unreadable:
        raise KeyFileError(f"the key in {folder} cannot be read: {unreadable}") from None
    return ClientKey(key_id, pem_path.resolve(), credentials.public_key)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
