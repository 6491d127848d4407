"""The venue's clients: each with a name, a key of its own and an account."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kalshiflow.exchange.credentials import KeyKind
from kalshiflow.market.fees import CENTICENT
from kalshiflow.market.units import Cash
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.keys import NAME, ClientKey, client_key
from kalshiflow.venue.limits import tier_of

CENT = Cash(10_000)
# What balances are kept to: direct members' to 1/10000 dollar, others' to a cent.
PRECISIONS = {"0.0001": CENTICENT, "0.01": CENT}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class WrongMember(ValueError):
    """An account that cannot be opened: the sentence names the value, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Member:
    """One client: its key's files carry its name."""

    name: str
    key: ClientKey
    account: Account


class Members:
    """All clients. Their keys lie in `folder`, and are made there where they are missing."""

    def __init__(self, accounts: Accounts, ids: Identifiers, folder: Path) -> None:
        self._accounts = accounts
        self._ids = ids
        self._folder = folder
        self._by_name: dict[str, Member] = {}
        self._names: dict[str, str] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_name.values())

    def name_of(self, key_id: str) -> str:
        """Give the name of the client whose key it is, empty where it is nobody's."""
        return self._names.get(key_id, "")

    def next_name(self) -> str:
        """Give the first name of trader, trader-2, trader-3 ... that no client has."""
        number = 1
        while _numbered(number) in self._by_name:
            number += 1
        return _numbered(number)

    def check_name(self, name: str) -> None:
        """Raise `WrongMember` where no client can be named so, or one is."""
        if not _NAME.fullmatch(name):
            raise WrongMember(f"{name!r} is no name: letters, digits, - and _ make one, 64 at most")
        if name in self._by_name:
            raise WrongMember(f"there is an account {name} already")

    def key_of(self, name: str, kind: KeyKind = "rsa") -> ClientKey:
        """Read or make the key of a client to be; raises `KeyFileError`. It may take a while."""
        return client_key(self._folder, name, kind)

    def open(
        self,
        name: str,
        key: ClientKey,
        *,
        cash: Cash,
        tier: str,
        precision: Cash = CENTICENT,
    ) -> Member:
        """Open a client's account; raises `WrongMember`."""
        self.check_name(name)
        try:
            account = Account(
                self._ids.of("user", name),
                cash,
                key_id=key.key_id,
                public_key=key.public_key,
                precision=precision,
                tier=tier_of(tier).name,
            )
            self._accounts.open(account)
        except ValueError as wrong:
            raise WrongMember(str(wrong)) from None
        member = self._by_name[name] = Member(name, key, account)
        self._names[key.key_id] = name
        return member


def first_members(config: VenueConfig, venue: Venue, folder: Path) -> Members:
    """Open the accounts that a venue starts with; raises `ValueError` where one cannot be."""
    floor = venue.floor
    members = Members(floor.accounts, floor.ids, folder)
    if config.accounts < 1:
        raise WrongMember(f"a venue has at least one account, not {config.accounts}")
    for _ in range(config.accounts):
        name = members.next_name()
        members.open(name, members.key_of(name), cash=config.cash, tier=config.tier)
    return members


def _numbered(number: int) -> str:
    return NAME if number == 1 else f"{NAME}-{number}"
