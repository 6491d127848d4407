"""The sequence ledger of one subscription: what came, what is missing, and whom a gap concerns."""

from collections.abc import Iterable
from dataclasses import dataclass


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


class Subscription:
    """The running state of one subscription id."""

    __slots__ = (
        "_count",
        "_first",
        "_last",
        "_missing",
        "_repeated",
        "_unnumbered",
        "channel",
        "command_id",
        "ended",
        "sequenced",
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
        self.sequenced = False  # taken from the frames, never from the channel's name
        self._last = 0
        self._begin()

    def restart(self) -> None:
        """Begin a new account at the next number."""
        self._begin()

    def receive(self, seq: int | None) -> SequenceGap | None:
        """Enter one frame; gives the gap where its number is not the next one."""
        if seq is None:
            self._unnumbered += 1
            return None
        self.sequenced = True
        expected = self._last + 1
        if seq == expected:
            self._last = seq
            self._count += 1
            return None
        if seq > expected:
            self._missing.append((expected, seq - 1))
            self._last = seq
            self._count += 1
        else:
            self._repeated += 1
        return SequenceGap(self.sid, self.channel, expected, seq, tuple(sorted(self.tickers)))

    def ledger(self) -> SequenceLedger:
        """Give the account as a value."""
        if not self.sequenced:
            return SequenceLedger(self.channel, False, None, None, self._unnumbered)
        return SequenceLedger(
            self.channel,
            True,
            self._first,
            self._last,
            self._count,
            tuple(self._missing),
            self._repeated,
        )

    def _begin(self) -> None:
        self._first = self._last + 1
        self._count = 0
        self._unnumbered = 0
        self._repeated = 0
        self._missing: list[tuple[int, int]] = []
