"""The synthetic traders of one market, its hidden value, and what each of them learns when."""

import math
import random
from collections.abc import Callable, Sequence

from kalshiflow.market.listing import MarketStatus
from kalshiflow.market.units import CENT, DOLLAR
from kalshiflow.venue.clock import MILLISECOND
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.lifecycle import Outcome
from kalshiflow.venue.traders.habits import Habits, MakerTerms
from kalshiflow.venue.traders.maker import HOUSE_CASH, Maker
from kalshiflow.venue.traders.takers import Takers
from kalshiflow.venue.traders.value import HiddenValue

# A move of the value that is news: informed takers come, and eager makers quote again and again.
NEWS = 300.0
EXCITED_SECONDS = 4.0
# The share of the widest spread that is left at the ends of the dollar.
EDGE_SHARE = 0.25
OVER = frozenset(
    {
        MarketStatus.DETERMINED,
        MarketStatus.DISPUTED,
        MarketStatus.AMENDED,
        MarketStatus.FINALIZED,
    }
)

Action = Callable[[int], None]
Schedule = Callable[[int, Action], None]


class MarketTraders:
    """The makers and takers of one market and its hidden value.

    `schedule(at, action)` is how they arrange to act again; all randomness comes from `rng`. They
    do nothing while the market or the exchange takes no orders, and stop once it is determined.
    """

    def __init__(
        self,
        floor: Floor,
        ticker: str,
        habits: Habits,
        rng: random.Random,
        schedule: Schedule,
    ) -> None:
        self._floor = floor
        self._listed = floor.market(ticker)
        self._habits = habits
        self._rng = rng
        self._schedule = schedule
        differ = habits.differences
        is_abandoned = rng.random() < differ.abandoned
        self._is_decided = rng.random() < differ.decided
        start = _start(habits, rng, is_decided=self._is_decided)
        self.value = HiddenValue(start, habits.lowest, habits.highest, rng)
        self._excess = 0.0
        self._pace = math.exp(rng.gauss(-(differ.pace**2) / 2, differ.pace))
        width = math.exp(rng.gauss(0.0, differ.width)) / math.sqrt(self._pace)
        self._widest = habits.widest * width
        lot = math.exp(rng.gauss(0.0, differ.lot)) / width
        if self._is_decided:
            self._pace *= differ.decided_pace
        makers = () if is_abandoned else habits.makers
        self._makers = tuple(self._maker(terms, lot) for terms in makers)
        noise, informed = self._account("noise"), self._account("informed")
        self._takers = Takers(floor, ticker, noise, informed, habits.takers, rng)

    @property
    def changes(self) -> float:
        """Give the book changes a second that are to be expected of these traders."""
        return self._pace * self._habits.changes[self._is_decided] * bool(self._makers)

    def outcome(self) -> Outcome:
        """Settle the market by a coin at the value that was reached."""
        return Outcome(self.value.toss())

    def open(self, now: int, scale: float = 1.0) -> None:
        """Quote for the first time, and schedule everything that recurs, `scale` times as often."""
        for maker in self._makers:
            maker.see(self._believed())
            maker.widening = self._widening()
            maker.requote(now)
        habits, takers, pace = self._habits, self._habits.takers, self._pace * scale
        for every, action in (
            (habits.jump_every, self._jump),
            (habits.drift_every, self._drift),
            (takers.noise_every, self._while_open(self._takers.take_at_random)),
            (takers.informed_every, self._while_open(self._take_what_is_wrong)),
            *((m.terms.refresh_every, self._while_open(m.refresh)) for m in self._makers),
            *((m.terms.think_every, self._while_open(m.think)) for m in self._makers),
        ):
            self._recur(now, every / pace, action)

    # --- time ----------------------------------------------------------------------------------

    def _recur(self, now: int, every: float, action: Action) -> None:
        def act(at: int) -> None:
            if self._listed.market.status not in OVER:
                action(at)
                self._recur(at, every, action)

        self._schedule(_later(now, self._rng.expovariate(1 / every)), act)

    def _while_open(self, action: Action) -> Action:
        def act(at: int) -> None:
            if self._listed.is_open and self._floor.exchange.is_trading:
                action(at)

        return act

    def _soon(self, now: int, seconds: float, action: Action) -> None:
        self._schedule(_later(now, seconds), self._while_open(action))

    # --- news ----------------------------------------------------------------------------------

    def _jump(self, now: int) -> None:
        habits = self._habits
        self._move(self._rng.uniform(habits.smallest_jump, habits.largest_jump), now)

    def _drift(self, now: int) -> None:
        self._excess *= 1 - self._habits.calming
        self._move(abs(self._rng.gauss(0.0, self._habits.drift_size)), now)

    def _move(self, size: float, now: int) -> None:
        if self._listed.market.status is MarketStatus.CLOSED:
            return  # its last value is what it closed with
        change = self.value.move(size)
        is_news = abs(change) >= NEWS
        if is_news:
            self._excess += self._habits.overreaction * change
        self._hear(now)
        if not is_news:
            return
        for _ in range(self._habits.takers.informed):
            late = self._rng.expovariate(1 / self._habits.takers.informed_after)
            self._soon(now, late, self._take_what_is_wrong)
        for _ in range(self._habits.excited):
            self._soon(now, self._rng.uniform(0.0, EXCITED_SECONDS), self._chase)

    def _hear(self, now: int) -> None:
        """Let the makers know the value: the prompt ones at once, the late ones after the lag."""
        value, lag = self._believed(), self._habits.lag
        prompt = [maker for maker in self._makers if lag <= 0 or not maker.terms.is_late]
        for maker in prompt:
            maker.see(value)
        self._while_open(lambda at: self._move_quotes(prompt, at))(now)
        if lag <= 0:
            return

        def follow(at: int) -> None:
            for maker in self._makers:
                if maker.terms.is_late:
                    maker.see(value)
            self._while_open(lambda then: self._move_quotes(self._makers, then))(at)

        self._schedule(_later(now, lag), follow)

    def _believed(self) -> float:
        """Give what a maker takes for the value that makes no error of its own."""
        habits, share = self._habits, self.value.now / DOLLAR
        premium = habits.longshot_premium * 4 * share * (1 - share) * (1 - 2 * share)
        believed = self.value.now + self._excess + premium
        return min(max(believed, habits.lowest), habits.highest)

    def _move_quotes(self, makers: Sequence[Maker], now: int) -> None:
        """Let all of them go before one of them quotes: so none stands in another's way."""
        widening = self._widening()
        for maker in makers:
            maker.widening = widening
            maker.pull(now)
        for maker in makers:
            maker.quote(now)

    def _widening(self) -> float:
        """Give what the spread has beside the offsets: most in the middle of the dollar."""
        share = self.value.now / DOLLAR
        return self._widest * (EDGE_SHARE + (1 - EDGE_SHARE) * 4 * share * (1 - share))

    def _chase(self, now: int) -> None:
        for maker in self._makers:
            if maker.terms.is_eager:
                maker.chase(now)

    def _take_what_is_wrong(self, now: int) -> None:
        self._takers.take_what_is_wrong(self.value.now, now)

    # --- who trades ----------------------------------------------------------------------------

    def _maker(self, terms: MakerTerms, lot: float) -> Maker:
        return Maker(
            self._floor,
            self._account(terms.name),
            self._listed.market.ticker,
            terms,
            self._rng,
            lot=lot,
            least_price=self._habits.least_price,
        )

    def _account(self, name: str) -> Account:
        user_id = self._floor.ids.of("house", f"{self._listed.market.ticker}/{name}")
        return self._floor.accounts.open(Account(user_id, HOUSE_CASH, is_house=True))


def _start(habits: Habits, rng: random.Random, *, is_decided: bool) -> float:
    differ = habits.differences
    if is_decided:
        distance = rng.uniform(habits.lowest, CENT) + 1.0
        return distance if rng.random() < 0.5 else DOLLAR - distance
    if differ.starts is not None:
        return rng.uniform(*differ.starts)
    (decile,) = rng.choices(range(10), differ.deciles)
    start = (decile + rng.random()) * DOLLAR / 10
    return min(max(start, habits.lowest + CENT), habits.highest - CENT)


def _later(now: int, seconds: float) -> int:
    """Give a market time in whole milliseconds, at least one after now."""
    return now + max(1, round(seconds * 1000)) * MILLISECOND
