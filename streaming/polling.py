"""Books read over REST while no socket is to be had, and never mixed into a socket's frames."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.market.events import Levels
from kalshiflow.recording.notes import RestBook, rest_book
from streaming.health import SECOND

ROUND_SECONDS = 5.0
STILL = 60 * SECOND  # an unchanged book is told this often all the same
BOOKS_PER_REQUEST = 100

Sides = tuple[Levels, Levels]


class Poller:
    """Reads the books of `tickers` round after round, and tells of each that changed."""

    def __init__(
        self,
        client: KalshiClient,
        tell: Callable[[RestBook], None],
        clock: Callable[[], int],
    ) -> None:
        self.tickers: Sequence[str] = ()
        self._client = client
        self._tell = tell
        self._clock = clock
        self._told: dict[str, tuple[int, Sides]] = {}

    async def run(self) -> None:
        """Poll for ever, a round every five seconds; the exchange's errors pass through."""
        while True:
            for names in _pieces(self.tickers):
                self.take(await self._client.get_orderbooks(names))
            await asyncio.sleep(ROUND_SECONDS)

    def take(self, books: Mapping[str, Sides]) -> None:
        """Tell of the books that changed, or that were not told of for a minute."""
        now = self._clock()
        for ticker, sides in sorted(books.items()):
            told = self._told.get(ticker)
            if told is None or told[1] != sides or now - told[0] >= STILL:
                self._told[ticker] = (now, sides)
                self._tell(rest_book(ticker, *sides))

    def forget(self) -> None:
        """Begin anew: what was told before the socket came back says nothing of now."""
        self._told.clear()


def _pieces(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tickers), BOOKS_PER_REQUEST):
        yield tickers[start : start + BOOKS_PER_REQUEST]
