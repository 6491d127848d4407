"""Why a command is refused: Kalshi's codes, and the exception that carries one."""

from collections.abc import Sequence

from kalshiflow.venue.websocket.sessions import Subscription

UNPROCESSABLE, PARAMS_REQUIRED, CHANNELS_REQUIRED, SIDS_REQUIRED = 1, 2, 3, 4
UNKNOWN_COMMAND, UNKNOWN_SID, UNKNOWN_CHANNEL, INVALID_PARAMETER = 5, 7, 8, 11
ONE_SID_REQUIRED, UNSUPPORTED_ACTION, TICKER_REQUIRED, ACTION_REQUIRED = 12, 13, 14, 15
SHARD_FACTOR_TOO_SMALL, SHARD_FACTOR_REQUIRED, SHARD_KEY_OUTSIDE, SHARD_FACTOR_TOO_LARGE = (
    19,
    20,
    21,
    22,
)
TOO_MANY_MARKETS, TOO_MANY_COMMANDS = 26, 27


class CommandRefused(Exception):
    """A command that is answered by an error frame with this code, and changes nothing.

    The frame names the subscription and the markets that it is about, where it is about some.
    """

    def __init__(
        self,
        code: int,
        subscription: Subscription | None = None,
        tickers: Sequence[str] = (),
    ) -> None:
        super().__init__(code)
        self.code = code
        self.subscription = subscription
        self.tickers = tickers
