"""What is asked of the exchange on one connection, in pieces that it takes, and what for."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from kalshiflow.exchange.connection import BOOK_CHANNEL, Connection
from kalshiflow.recording.notes import AnyNote, Asked

TRADE_CHANNEL = "trade"
LIFE_CHANNEL = "market_lifecycle_v2"
TICKERS_PER_COMMAND = 500  # some 20 kB; no limit is documented, and 1,000 are known to be taken
_REMEMBERED = 1_000  # commands whose answer may still come


class Purpose(Enum):
    """What a command was for."""

    SUBSCRIBE = "subscribe"  # recording cannot do without it
    JOIN = "join"
    RELEASE = "release"
    SNAPSHOT = "snapshot"
    RENEW = "renew"  # a market taken out and put in again, for its snapshot


@dataclass(frozen=True, slots=True)
class Sent:
    """A command, whose answer will name its id."""

    purpose: Purpose
    channel: str
    tickers: tuple[str, ...]


class Commands:
    """Sends commands, notes which markets a subscription names, remembers what each one was for.

    `sid_of` gives the open subscription of a channel, `None` before the exchange has named it.
    """

    def __init__(
        self,
        connection: Connection,
        note: Callable[[AnyNote], None],
        sid_of: Callable[[str], int | None],
    ) -> None:
        self._connection = connection
        self._note = note
        self._sid_of = sid_of
        self._sent: dict[int, Sent] = {}

    @property
    def can_change(self) -> bool:
        """Say whether both subscriptions are there, so that markets can be put in and taken out."""
        return all(self._sid_of(channel) is not None for channel in (BOOK_CHANNEL, TRADE_CHANNEL))

    def take(self, command_id: int | None) -> Sent | None:
        """Give the command that an answer names, if it is one of these."""
        return None if command_id is None else self._sent.get(command_id)

    async def subscribe(self, tickers: Iterable[str]) -> None:
        """Subscribe to books and trades of these markets, and to the lives of all."""
        names = sorted(tickers)
        for channel in (BOOK_CHANNEL, TRADE_CHANNEL):
            # Subscribing again widens a subscription: no need to wait for its id.
            for some in _pieces(names):
                command_id = await self._connection.subscribe([channel], some)
                self._remember(command_id, Sent(Purpose.SUBSCRIBE, channel, tuple(some)))
        command_id = await self._connection.subscribe([LIFE_CHANNEL])
        self._remember(command_id, Sent(Purpose.SUBSCRIBE, LIFE_CHANNEL, ()))

    async def add(self, tickers: Collection[str]) -> None:
        """Put markets into the subscriptions of books and trades."""
        for channel in (BOOK_CHANNEL, TRADE_CHANNEL):
            await self._add(Purpose.JOIN, channel, tickers)

    async def remove(self, tickers: Collection[str]) -> None:
        """Take markets out of the subscriptions of books and trades."""
        for channel in (BOOK_CHANNEL, TRADE_CHANNEL):
            await self._remove(Purpose.RELEASE, channel, tickers)

    async def get_snapshots(self, tickers: Collection[str]) -> None:
        """Ask for fresh books."""
        for some in _pieces(sorted(tickers)):
            if (sid := self._sid_of(BOOK_CHANNEL)) is not None:
                command_id = await self._connection.get_snapshot(sid, some)
                self._remember(command_id, Sent(Purpose.SNAPSHOT, BOOK_CHANNEL, tuple(some)))

    async def renew(self, tickers: Collection[str]) -> None:
        """Take markets out of the books' subscription and put them in again: a snapshot follows."""
        await self._remove(Purpose.RENEW, BOOK_CHANNEL, tickers)
        await self._add(Purpose.RENEW, BOOK_CHANNEL, tickers)

    async def _add(self, purpose: Purpose, channel: str, tickers: Collection[str]) -> None:
        for some in _pieces(sorted(tickers)):
            if (sid := self._sid_of(channel)) is not None:
                command_id = await self._connection.add_markets(sid, some)
                self._remember(command_id, Sent(purpose, channel, tuple(some)))

    async def _remove(self, purpose: Purpose, channel: str, tickers: Collection[str]) -> None:
        for some in _pieces(sorted(tickers)):
            if (sid := self._sid_of(channel)) is not None:
                command_id = await self._connection.remove_markets(sid, some)
                self._remember(command_id, Sent(purpose, channel, tuple(some)))

    def _remember(self, command_id: int, sent: Sent) -> None:
        self._sent[command_id] = sent
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]
        if sent.purpose is Purpose.SUBSCRIBE:  # the others name a subscription that is known
            self._note(Asked(command_id=command_id, tickers=list(sent.tickers)))


def _pieces(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tickers), TICKERS_PER_COMMAND):
        yield tickers[start : start + TICKERS_PER_COMMAND]
