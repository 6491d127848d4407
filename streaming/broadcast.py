"""Books to screens: each message is encoded once; a slow screen is conflated, never waited for.

What is due is gathered for a few milliseconds and then written to each screen with one call, so
that a busy feed costs a screen no more than a few hundred writes a second.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta
from kalshiflow.sockets import text_frame
from streaming.screen_messages import delta_message, encode, snapshot_message

__all__ = ["Hub", "Outlet", "Screen", "delta_message", "encode", "snapshot_message"]

QUEUE_LIMIT = 512  # changes that wait for one screen
TICK_SECONDS = 0.004  # for which what is due is gathered
BOOKS_IN_TICK = 20  # that are written out whole; each takes about as long as fifteen changes
COMPLETION_SECONDS = 1.0  # after which a thinned screen has its books right again


class Outlet(Protocol):
    """Where a screen's messages go: a socket, as a rule."""

    @property
    def is_ready(self) -> bool:
        """Say whether it takes more now."""

    def write(self, frames: Iterable[bytes]) -> None:
        """Take some frames at once, without waiting."""


class Screen:
    """One client: what it watches, and what waits to be sent to it.

    When too many changes wait, they are thrown away and its books are sent whole instead.
    """

    def __init__(self, outlet: Outlet, limit: int = QUEUE_LIMIT) -> None:
        self.watched: frozenset[str] = frozenset()
        self.conflated = 0
        self._outlet = outlet
        self._limit = limit
        self._waiting: list[bytes] = []
        self._resend: dict[str, None] = {}  # a set that keeps its order
        self._latest: dict[str, bytes] = {}

    def watch(self, tickers: Iterable[str]) -> None:
        """Watch these markets from now on; each is sent whole first."""
        self.watched = frozenset(tickers)
        self._waiting.clear()
        self._resend = dict.fromkeys(sorted(self.watched))

    def offer_change(self, ticker: str, frame: bytes) -> None:
        """Queue a change of a book, unless that book will be sent whole anyway."""
        if ticker in self._resend:
            return
        if len(self._waiting) >= self._limit:
            self.conflated += 1
            self._waiting.clear()
            self._resend = dict.fromkeys(sorted(self.watched))
        else:
            self._waiting.append(frame)

    def offer_latest(self, kind: str, frame: bytes) -> None:
        """Queue a message that replaces the one of its type before it."""
        self._latest[kind] = frame

    def resend(self, ticker: str) -> None:
        """Send a watched book whole."""
        self._resend[ticker] = None

    def write(self, books: "_Books") -> bool:
        """Write what is due, if the outlet takes it; says whether nothing is left."""
        if not self._outlet.is_ready:
            return False
        # A change that still waits is older than the book that is sent whole.
        frames = [*self._latest.values(), *self._waiting]
        for ticker in list(self._resend):
            if not books.can_give(ticker):
                break
            del self._resend[ticker]
            frame = books.give(ticker)
            if frame is not None:
                frames.append(frame)
        self._latest.clear()
        self._waiting.clear()
        if frames:
            self._outlet.write(frames)
        return not self._resend


class Hub:
    """All screens, and who watches what.

    With a `sample_rate` of N screens are told one of N changes of each market at once, and where
    some were left out, the whole book within a second. A change tells its level's new size, so that
    level is right then, the others as they last were told.
    """

    def __init__(self, sample_rate: int = 1) -> None:
        self.screens: set[Screen] = set()
        self.whole: Callable[[str], bytes | None] = _no_book  # gives a book's snapshot message
        self._sample_rate = sample_rate
        self._watchers: dict[str, set[Screen]] = {}
        self._due: set[Screen] = set()
        self._is_ticking = False
        self._changes: dict[str, int] = {}
        self._untold: set[str] = set()
        self._conflated = 0

    @property
    def conflated(self) -> int:
        """How often a screen was too slow for its changes, of all screens ever."""
        return self._conflated + sum(screen.conflated for screen in self.screens)

    def join(self, screen: Screen) -> None:
        """Take a screen in."""
        self.screens.add(screen)

    def leave(self, screen: Screen) -> None:
        """Forget a screen."""
        self._unwatch(screen)
        self.screens.discard(screen)
        self._due.discard(screen)
        self._conflated += screen.conflated

    def watch(self, screen: Screen, tickers: Iterable[str]) -> None:
        """Let a screen watch these markets instead of those before."""
        self._unwatch(screen)
        screen.watch(tickers)
        for ticker in screen.watched:
            self._watchers.setdefault(ticker, set()).add(screen)
        self._is_due([screen])

    def is_watched(self, ticker: str) -> bool:
        """Say whether any screen watches a market."""
        return ticker in self._watchers

    def changed(self, event: BookDelta, book: Book) -> None:
        """Tell the market's watchers of a change that the book has just taken."""
        ticker = event.ticker
        if self._sample_rate > 1 and not self._is_told(ticker):
            return
        frame = text_frame(delta_message(event, book))
        watchers = self._watchers.get(ticker, ())
        for screen in watchers:
            screen.offer_change(ticker, frame)
        self._is_due(watchers)

    def replaced(self, ticker: str) -> None:
        """Let the market's watchers have its book whole."""
        self._untold.discard(ticker)
        watchers = self._watchers.get(ticker, ())
        for screen in watchers:
            screen.resend(ticker)
        self._is_due(watchers)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell every screen; a newer message of the same type replaces one that still waits."""
        frame = text_frame(encode(message))
        for screen in self.screens:
            screen.offer_latest(message["type"], frame)
        self._is_due(self.screens)

    def tell_one(self, screen: Screen, message: Mapping[str, Any]) -> None:
        """Tell one screen, as `tell` does."""
        screen.offer_latest(message["type"], text_frame(encode(message)))
        self._is_due([screen])

    def tick(self) -> None:
        """Write what is due to the screens that take it; for the others it waits."""
        self._is_ticking = False
        books = _Books(self.whole)
        self._due = {screen for screen in self._due if not screen.write(books)}
        if books.is_spent:
            self._begin_tick()

    def _is_due(self, screens: Iterable[Screen]) -> None:
        self._due.update(screens)
        if self._due and not self._is_ticking:
            self._begin_tick()

    def _begin_tick(self) -> None:
        # A screen that takes nothing is looked at again when anything is told, which the figures
        # of each second are: nothing ticks for it alone.
        self._is_ticking = True
        asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def _is_told(self, ticker: str) -> bool:
        number = self._changes.get(ticker, 0)
        self._changes[ticker] = number + 1
        if number % self._sample_rate == 0:
            return True
        if not self._untold:
            asyncio.get_running_loop().call_later(COMPLETION_SECONDS, self._complete)
        self._untold.add(ticker)
        return False

    def _complete(self) -> None:
        for ticker in sorted(self._untold):
            self.replaced(ticker)

    def _unwatch(self, screen: Screen) -> None:
        for ticker in screen.watched:
            watchers = self._watchers[ticker]
            watchers.discard(screen)
            if not watchers:
                del self._watchers[ticker]
                self._changes.pop(ticker, None)


class _Books:
    """The books that are sent whole in one tick, each written once for all screens."""

    def __init__(self, whole: Callable[[str], bytes | None]) -> None:
        self._whole = whole
        self._frames: dict[str, bytes | None] = {}
        self.is_spent = False

    def can_give(self, ticker: str) -> bool:
        """Say whether a book can be had in this tick."""
        if ticker in self._frames or len(self._frames) < BOOKS_IN_TICK:
            return True
        self.is_spent = True
        return False

    def give(self, ticker: str) -> bytes | None:
        """Give a book's snapshot as a frame; None where it cannot be trusted now."""
        if ticker not in self._frames:
            message = self._whole(ticker)
            self._frames[ticker] = None if message is None else text_frame(message)
        return self._frames[ticker]


def _no_book(_ticker: str) -> bytes | None:
    return None
