"""Whether the exchange as a whole is open and trades: pauses and maintenance."""

from dataclasses import dataclass

from kalshiflow.venue.floor.refusals import ExchangePaused, TradingPaused


@dataclass(slots=True)
class ExchangeState:
    """What GET /exchange/status tells. `resumes_at` is market time, told while something is off.

    While `is_trading` is false (the Thursday pause) orders are neither placed nor amended, but may
    be cancelled; while `is_active` is false nothing may be changed, and nothing trades either.
    """

    is_active: bool = True
    is_trading: bool = True
    resumes_at: int | None = None

    def check_active(self) -> None:
        """Raise `ExchangePaused` where nothing may be changed."""
        if not self.is_active:
            raise ExchangePaused

    def check_trading(self) -> None:
        """Raise `ExchangePaused` or `TradingPaused` where orders are neither placed nor amended."""
        self.check_active()
        if not self.is_trading:
            raise TradingPaused
