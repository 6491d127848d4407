"""Pauses of the whole exchange: of trading, as every Thursday night, and of everything."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kalshiflow.venue.floor.refusals import ImpossibleMove
from kalshiflow.venue.matching.messages import Removal

if TYPE_CHECKING:
    from kalshiflow.venue.floor.floor import Floor


class ExchangeLife:
    """Pauses and resumes the exchange. A step that cannot be taken raises `ImpossibleMove`.

    Orders rest through a pause and go on after it, but for those that asked to be pulled
    (`cancel_order_on_pause`): they end by HaltCancel when it begins. So does what a recording
    reaches during one. No frame tells of a pause.
    """

    def __init__(self, floor: "Floor") -> None:
        self._floor = floor
        self._pauses = 0

    def pause_trading(self, now: int, resumes_at: int | None = None) -> None:
        """Let nobody place or amend orders, until it is resumed or `resumes_at` comes."""
        exchange = self._floor.exchange
        if not exchange.is_trading:
            raise ImpossibleMove("trading is paused already")
        _check_end(now, resumes_at)
        exchange.is_trading = False
        self._paused(now, resumes_at, self.resume_trading)

    def resume_trading(self, now: int) -> None:
        """Let orders be placed and amended again; what rested rests on."""
        del now
        exchange = self._floor.exchange
        if not exchange.is_active:
            raise ImpossibleMove("the exchange is paused: resume it, and trading with it")
        if exchange.is_trading:
            raise ImpossibleMove("trading is not paused")
        exchange.is_trading, exchange.resumes_at = True, None

    def pause_exchange(self, now: int, resumes_at: int | None = None) -> None:
        """Let nobody change anything, cancels included, and pause trading with it."""
        exchange = self._floor.exchange
        if not exchange.is_active:
            raise ImpossibleMove("the exchange is paused already")
        _check_end(now, resumes_at)
        exchange.is_active = exchange.is_trading = False
        self._paused(now, resumes_at, self.resume_exchange)

    def resume_exchange(self, now: int) -> None:
        """Let everything be changed again, and trading go on."""
        del now
        exchange = self._floor.exchange
        if exchange.is_active:
            raise ImpossibleMove("the exchange is not paused")
        exchange.is_active = exchange.is_trading = True
        exchange.resumes_at = None

    def _paused(self, now: int, resumes_at: int | None, resume: Callable[[int], None]) -> None:
        exchange = self._floor.exchange
        exchange.resumes_at = resumes_at
        self._pauses += 1
        pause = self._pauses
        for record in self._floor.resting():
            if record.cancel_on_pause:
                self._floor.take_off(record, now, Removal.HALT)
        if resumes_at is not None:

            def due(at: int) -> None:
                # Neither ended by hand nor followed by another pause meanwhile.
                if self._pauses == pause and exchange.resumes_at is not None:
                    resume(at)

            self._floor.agenda.add(resumes_at, due)


def _check_end(now: int, resumes_at: int | None) -> None:
    if resumes_at is not None and resumes_at <= now:
        raise ImpossibleMove("the pause would end before it begins")
