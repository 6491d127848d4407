"""The venue's own endpoints for accounts, for this machine only.

GET  /venue/accounts   every client: its name, key and ledger's heads
POST /venue/accounts   one more: see `NewAccount`; 201, or 400 and why not
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.credentials import KeyKind
from kalshiflow.market.units import CASH_PER_DOLLAR, Cash, UnitError, cash_from_dollars
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.limits import tier_of
from kalshiflow.venue.members import PRECISIONS, Member, Members
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.admin import only_from_here

MOST_CASH = Cash(10**9 * CASH_PER_DOLLAR)


class BadAccount(Refused):
    """An account that cannot be opened."""

    code = "bad_account"


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for; what is left out is as the venue was started, the name the next one.

    `cash` is dollars as text; `precision` is "0.0001" or "0.01" dollar; `key_type` is "rsa" or
    "ed25519". A key that its folder already has under this name is taken as it is.
    """

    name: str | None = None
    cash: str | None = None
    tier: str | None = None
    precision: str = "0.0001"
    key_type: KeyKind = "rsa"


class MemberBody(msgspec.Struct):
    """A client: where its private key lies, and its cash in 1/1000000 dollar."""

    name: str
    key_id: str
    private_key_path: str
    user_id: str
    tier: str
    precision: int
    deposited: int
    cash: int


class MembersBody(msgspec.Struct):
    """All clients, in the order in which they came."""

    accounts: list[MemberBody]


def routes(members: Members, cash: Cash, tier: str) -> list[BaseRoute]:
    """Give the routes, below /venue; `cash` and `tier` are what an account has by default."""
    accounts = _Accounts(members, cash, tier)
    return [
        Route("/accounts", accounts.all_accounts),
        Route("/accounts", accounts.open, methods=["POST"]),
    ]


class _Accounts:
    def __init__(self, members: Members, cash: Cash, tier: str) -> None:
        self._members = members
        self._cash = cash
        self._tier = tier
        self._one_at_a_time = asyncio.Lock()

    async def all_accounts(self, request: Request) -> Response:
        only_from_here(request)
        return answers.body(MembersBody([_body(member) for member in self._members]))

    async def open(self, request: Request) -> Response:
        only_from_here(request)
        asked = _read(await request.body())
        cash = self._cash if asked.cash is None else _cash(asked.cash)
        precision = _precision(asked.precision)
        try:
            tier = tier_of(asked.tier or self._tier)
            async with self._one_at_a_time:
                name = asked.name or self._members.next_name()
                self._members.check_name(name)
                # An RSA key takes long enough for frames to be late.
                key = await asyncio.to_thread(self._members.key_of, name, asked.key_type)
                member = self._members.open(
                    name, key, cash=cash, tier=tier.name, precision=precision
                )
        except ValueError as wrong:
            raise BadAccount(str(wrong)) from None
        return answers.body(_body(member), 201)


def _read(raw: bytes) -> NewAccount:
    try:
        return msgspec.json.decode(raw or b"{}", type=NewAccount)
    except ValueError as problem:
        raise BadAccount(str(problem)) from None


def _cash(text: str) -> Cash:
    try:
        cash = cash_from_dollars(text)
    except UnitError:
        raise BadAccount(f"cash must be dollars such as 1000.00, not {text!r}") from None
    if not 0 <= cash <= MOST_CASH:
        raise BadAccount(f"cash must be from 0 to {MOST_CASH // CASH_PER_DOLLAR} dollars")
    return cash


def _precision(text: str) -> Cash:
    try:
        return PRECISIONS[text]
    except KeyError:
        raise BadAccount(f"precision must be {' or '.join(PRECISIONS)}, not {text!r}") from None


def _body(member: Member) -> MemberBody:
    account = member.account
    return MemberBody(
        name=member.name,
        key_id=account.key_id,
        private_key_path=str(member.key.private_key_path),
        user_id=account.user_id,
        tier=account.tier,
        precision=account.precision,
        deposited=account.deposited,
        cash=account.portfolio.cash,
    )
