"""The sequence ledger of one subscription: what came, what is missing, and whom a gap concerns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """A frame whose number is not the next one: frames were lost, or one came twice.

    `received` above `expected` tells of lost frames, below it of a repeated one. `tickers` are the
    subscription's markets, whose books cannot be trusted any more.
    """

    sid: int
    channel: str
    expected: int
    received: int
    tickers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceLedger:
    """One subscription's account since the numbers last began.

    Where `sequenced`: `last - first + 1 == count + numbers missing`; before the first frame `last`
    is `first - 1`. `repeated` counts frames whose number was not above the last one, which no
    ordered stream has; they move nothing.

    A subscription whose frames carry no number cannot be proven whole: `first` and `last` are
    `None`, and `count` is only how many frames came.
    """

    channel: str
    sequenced: bool
    first: int | None
    last: int | None
    count: int
    missing: tuple[tuple[int, int], ...] = ()
    repeated: int = 0


class SubscriptionState(NamedTuple):
    """A subscription as plain values."""

    sid: int
    channel: str
    command_id: int | None
    tickers: list[str]
    ended: bool
    expected: int
    first: int
    unnumbered: int
    repeated: int
    missing: list[tuple[int, int]]


class Subscription:
    """The running state of one subscription id.

    `expected` is the next sequence number, and -1 until a frame had one: whether frames are
    numbered is taken from them, never from the channel's name.
    """

    __slots__ = (
        "_first",
        "_missing",
        "_repeated",
        "_unnumbered",
        "channel",
        "command_id",
        "ended",
        "expected",
        "sid",
        "tickers",
    )

    def __init__(
        self,
        sid: int,
        channel: str = "",
        tickers: Iterable[str] = (),
        command_id: int | None = None,
    ) -> None:
        self.sid = sid
        self.channel = channel
        self.command_id = command_id
        self.tickers = set(tickers)
        self.ended = False
        self.expected = -1
        self._begin()

    @classmethod
    def of(cls, state: SubscriptionState) -> "Subscription":
        """Give the subscription whose state this is."""
        restored = cls(state.sid, state.channel, state.tickers, state.command_id)
        restored.ended = state.ended
        restored.expected = state.expected
        restored._first = state.first
        restored._unnumbered = state.unnumbered
        restored._repeated = state.repeated
        restored._missing = list(state.missing)
        return restored

    def state(self) -> SubscriptionState:
        """Give all there is as plain values."""
        return SubscriptionState(
            self.sid,
            self.channel,
            self.command_id,
            sorted(self.tickers),
            self.ended,
            self.expected,
            self._first,
            self._unnumbered,
            self._repeated,
            list(self._missing),
        )

    def restart(self) -> None:
        """Begin a new account at the next number."""
        self._begin()

    def receive(self, seq: int | None) -> SequenceGap | None:
        """Enter one frame; gives the gap where its number is not the next one.

        To enter a frame whose number is `expected` is to count that up, and no more.
        """
        if seq is None:
            self._unnumbered += 1
            return None
        expected = self._next
        if seq == expected:
            self.expected = seq + 1
            return None
        if seq > expected:
            self._missing.append((expected, seq - 1))
            self.expected = seq + 1
        else:
            self._repeated += 1
            self.expected = expected
        return SequenceGap(self.sid, self.channel, expected, seq, tuple(sorted(self.tickers)))

    def ledger(self) -> SequenceLedger:
        """Give the account as a value."""
        if self.expected < 0:
            return SequenceLedger(self.channel, False, None, None, self._unnumbered)
        missing = sum(high - low + 1 for low, high in self._missing)
        return SequenceLedger(
            self.channel,
            True,
            self._first,
            self.expected - 1,
            self.expected - self._first - missing,
            tuple(self._missing),
            self._repeated,
        )

    @property
    def _next(self) -> int:
        return self.expected if self.expected > 0 else 1

    def _begin(self) -> None:
        self._first = self._next
        self._unnumbered = 0
        self._repeated = 0
        self._missing: list[tuple[int, int]] = []
