"""Identifiers that look like Kalshi's UUIDs and follow from the seed alone."""

from hashlib import blake2b
from uuid import UUID


class Identifiers:
    """Gives UUIDs: `of(kind, name)` always the same one, `next(kind)` a new one at each call."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()
        self._counts: dict[str, int] = {}

    def of(self, kind: str, name: str) -> str:
        """Give the UUID of a named thing."""
        digest = blake2b(f"{kind}/{name}".encode(), digest_size=16, key=self._key)
        return str(UUID(bytes=digest.digest(), version=4))

    def next(self, kind: str) -> str:
        """Give the next UUID of a kind."""
        count = self._counts.get(kind, 0)
        self._counts[kind] = count + 1
        digits = blake2b(f"{kind}#{count}".encode(), digest_size=16, key=self._key).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
