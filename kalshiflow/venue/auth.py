"""Who signed a request: Kalshi's headers, checked against the accounts' keys and our clock."""

from collections.abc import Callable, Mapping

from kalshiflow.exchange.credentials import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    verify,
)
from kalshiflow.exchange.payloads import ErrorDetail, NestedError
from kalshiflow.venue.config import WINDOW_MS
from kalshiflow.venue.floor.accounts import Account, Accounts


class Unauthenticated(Exception):
    """A request without a valid signature; `body` is the answer, under HTTP 401."""

    status = 401

    def __init__(self, code: str, message: str, details: str | None = None) -> None:
        super().__init__(f"{code} {details or ''}".rstrip())
        self.body = NestedError(ErrorDetail(code, message, details))


class Gate:
    """Verifies signatures. `now_ms` is the wall clock, whatever market time is."""

    def __init__(
        self, accounts: Accounts, now_ms: Callable[[], int], window_ms: int = WINDOW_MS
    ) -> None:
        self._accounts = accounts
        self._now_ms = now_ms
        self._window_ms = window_ms

    def account_of(self, headers: Mapping[str, str], method: str, path: str) -> Account:
        """Give the account that signed; raises `Unauthenticated`.

        `path` begins with /trade-api and has no query. Header names are looked up as they are:
        the mapping must ignore case.
        """
        signature, timestamp = headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER)
        if not signature:
            raise Unauthenticated(
                "signature_is_missing_from_headers", "signature is missing from headers"
            )
        account = self._accounts.by_key(headers.get(KEY_HEADER, ""))
        if account is None or account.public_key is None:
            raise _failure("NOT_FOUND")
        if not timestamp or not self._is_recent(timestamp):
            raise Unauthenticated("header_timestamp_expired", "header timestamp expired")
        if not verify(account.public_key, timestamp, method, path, signature):
            raise _failure("INCORRECT_API_KEY_SIGNATURE")
        return account

    def _is_recent(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 15):
            return False
        return abs(int(timestamp) - self._now_ms()) <= self._window_ms


def _failure(details: str) -> Unauthenticated:
    return Unauthenticated("authentication_error", "authentication_error", details)
