"""Books held against the exchange's own answers, a few a minute."""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import ExchangeError
from kalshiflow.market.book import Book
from kalshiflow.market.events import Levels, Side
from kalshiflow.recording.notes import Audited
from streaming.health import Health
from streaming.intake import Intake

ROUND_SECONDS = 60.0
LEAD_SECONDS = 0.5  # an answer may be this old: the exchange's reads lag
GRACE_SECONDS = 0.5  # how long frames may come after an answer that tells of them
AGAIN_SECONDS = 2.0
TRIES = 3
MOST_SEEN = 500  # books kept of one market while it is compared
_DETAILS = 3  # differences that are told

log = structlog.get_logger()
Sides = tuple[Levels, Levels]


class Verdict(StrEnum):
    """How a book compared with the exchange's answer."""

    AGREES = "agrees"
    MOVED = "moved"  # it changed while we asked, too much to tell
    DIFFERS = "differs"


def sides_of(book: Book) -> Sides:
    """Give both sides' levels, best first."""
    return tuple(book.levels(Side.BID)), tuple(book.levels(Side.ASK))


def judge(answer: Sides, seen: Sequence[Sides]) -> Verdict:
    """Compare an answer with the books that were seen from before it until a while after it.

    The answer shows the book of one unknown moment between them. Where no seen book equals it, a
    level that has a quantity which that level never had is a difference; without one, the moment
    lay between frames, and nothing can be said.
    """
    if answer in seen:
        return Verdict.AGREES
    return Verdict.DIFFERS if differences(answer, seen) else Verdict.MOVED


def differences(answer: Sides, seen: Sequence[Sides]) -> list[str]:
    """Name each level of the answer, or missing in it, that no seen book had so."""
    found = []
    for side in Side:
        books = [dict(sides[side]) for sides in seen]
        told = dict(answer[side])
        for price in sorted({*told, *(price for book in books for price in book)}):
            had = {book.get(price, 0) for book in books}
            if told.get(price, 0) not in had:
                ours = " or ".join(map(str, sorted(had)[:3]))
                found.append(f"{side.name.lower()} {price}: {told.get(price, 0)}, not {ours}")
    return found


class Audit:
    """Compares markets in turn. `doubt` is told of a market whose book differs twice in a row."""

    def __init__(
        self,
        client: KalshiClient,
        intake: Intake,
        health: Health,
        *,
        doubt: Callable[[str], None],
        clock: Callable[[], int],
    ) -> None:
        self.watched: str | None = None  # the market whose frames `changed` wants to hear of
        self._client = client
        self._intake = intake
        self._health = health
        self._doubt = doubt
        self._clock = clock
        self._seen: list[Sides] = []
        self._last = ""

    def changed(self, ticker: str) -> None:
        """Take note of the watched book after a frame."""
        books = self._intake.recorder.books
        if ticker == self.watched and ticker in books and len(self._seen) <= MOST_SEEN:
            self._seen.append(sides_of(books[ticker]))

    async def run(self, each_minute: int) -> None:
        """Audit so many markets a minute, for ever; what the exchange refuses is passed over."""
        if not each_minute:
            return
        while True:
            await asyncio.sleep(ROUND_SECONDS / each_minute)
            ticker = self._next()
            if ticker is None:
                continue
            try:
                await self.audit(ticker)
            except ExchangeError as failed:
                self._health.audits["failed"] += 1
                log.info("audit_failed", ticker=ticker, reason=str(failed))

    async def audit(self, ticker: str) -> Verdict | None:
        """Compare one market's book, up to three times; `None` where it went stale meanwhile."""
        differed = False
        for tried in range(1, TRIES + 1):
            began = self._clock()
            compared = await self._compare(ticker)
            if compared is None:
                return None
            verdict, difference, took = compared
            if verdict is Verdict.AGREES or (verdict is Verdict.DIFFERS and differed):
                break
            differed = verdict is Verdict.DIFFERS
            if tried < TRIES:
                await asyncio.sleep(AGAIN_SECONDS)
        if verdict is Verdict.DIFFERS and not differed:
            verdict = Verdict.MOVED
        self._conclude(ticker, verdict, tried, took, began, difference)
        return verdict

    async def _compare(self, ticker: str) -> tuple[Verdict, str, int] | None:
        recorder = self._intake.recorder
        if recorder.books.is_stale(ticker):
            return None
        self._seen = [sides_of(recorder.books[ticker])]
        self.watched = ticker
        try:
            await asyncio.sleep(LEAD_SECONDS)
            asked = self._clock()
            bids, asks = await self._client.get_orderbook(ticker)
            took = self._clock() - asked
            answer = tuple(bids), tuple(asks)
            if answer not in self._seen:
                await asyncio.sleep(GRACE_SECONDS)
        finally:
            self.watched = None
        if recorder.books.is_stale(ticker):
            return None
        if len(self._seen) > MOST_SEEN:
            return Verdict.MOVED, f"it moved over {MOST_SEEN} times", took
        verdict = judge(answer, self._seen)
        detail = "; ".join(differences(answer, self._seen)[:_DETAILS])
        return verdict, "" if verdict is Verdict.AGREES else detail, took

    def _conclude(
        self, ticker: str, verdict: Verdict, tries: int, took: int, began: int, detail: str
    ) -> None:
        newest = self._intake.recorder.newest.get(ticker)
        self._intake.note(
            Audited(
                ticker=ticker,
                verdict=verdict.value,
                tries=tries,
                took=took,
                age=None if newest is None else began - newest.received_at,
                detail=detail,
            )
        )
        self._health.audits[verdict.value] += 1
        self._health.last_audit_at = self._clock()
        if verdict is Verdict.DIFFERS:
            log.warning("book_differs", ticker=ticker, detail=detail)
            self._doubt(ticker)

    def _next(self) -> str | None:
        recorder = self._intake.recorder
        if self._intake.is_stuck or recorder.session is None:
            return None
        tickers = sorted(t for t in recorder.markets if not recorder.books.is_stale(t))
        if not tickers:
            return None
        # In turn by name, whatever joined or left meanwhile.
        self._last = next((each for each in tickers if each > self._last), tickers[0])
        return self._last
