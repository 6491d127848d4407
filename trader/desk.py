"""Where frames become decisions: one market at a time, without waiting for anything.

Every frame is applied at once; only decisions are conflated. A market decides at the first change
of its book after the throttle's market time has passed, if nothing of its own is under way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.action import Action, Step, plan
from kalshiflow.agent.fingerprints import mask_bits, observation_hash
from kalshiflow.agent.policy import PolicyRejected
from kalshiflow.exchange.feed import OwnFill, OwnOrder, Received
from kalshiflow.market.events import MarketStatusChanged, Stamp
from kalshiflow.market.listing import MarketResult, MarketStatus
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.store import trading
from trader.bus import Bus
from trader.counts import Counts
from trader.decide import (
    Decision,
    Proposal,
    client_order_id,
    decision_id,
    propose,
)
from trader.events import BookChanged, DecisionMade
from trader.journal import Journal
from trader.market_data import MarketData
from trader.orders import TrackedOrder, as_order
from trader.outcomes import Outcomes
from trader.policies import LoadedPolicy, PolicySlot
from trader.risk import Limits, Standing, refusal

BOOK_KINDS = frozenset({"orderbook_snapshot", "orderbook_delta", "trade", "ticker"})


@dataclass(frozen=True, slots=True)
class Job:
    """What a decision asks of the exchange: cancel, then place. `at` is our monotonic clock."""

    ticker: str
    cancel: TrackedOrder | None
    place: TrackedOrder | None
    at: float


class Desk:
    """Takes frames in, decides, and offers jobs to whoever sends orders.

    `offer` says whether a job was taken; `is_acting` whether decisions may be made now. `shown` has
    the account shown to a market's observer, `session` names the session on the trader's tape.
    """

    def __init__(
        self,
        run_id: UUID,
        data: MarketData,
        outcomes: Outcomes,
        slot: PolicySlot,
        journal: Journal,
        bus: Bus,
        counts: Counts,
        limits: Limits,
        *,
        throttle: int,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        is_acting: Callable[[], bool],
        shown: Callable[[str], None],
        session: Callable[[], str | None],
        offer: Callable[[Job], bool],
        distrust: Callable[[str], None],
    ) -> None:
        self.data = data
        self.outcomes = outcomes
        self.counts = counts
        self._run_id = run_id
        self._slot = slot
        self._journal = journal
        self._bus = bus
        self._limits = limits
        self._throttle = throttle
        self._now = now
        self._monotonic = monotonic
        self._is_acting = is_acting
        self._shown = shown
        self._session = session
        self._offer = offer
        self._distrust = distrust
        self._due: dict[str, None] = {}
        self._decided_at: dict[str, int] = {}
        self._results: dict[str, MarketResult] = {}
        self._last: Stamp | None = None

    def begin(self, now: float) -> None:
        """Begin anew with another connection: its books and its market time are to come."""
        self.data.begin(now)
        self._due.clear()
        self._decided_at.clear()

    def snapshots_due(self, now: float) -> list[str]:
        """Give the markets whose book must be asked for."""
        return self.data.snapshots_due(now)

    def take(self, received: Received) -> None:
        """Apply a frame."""
        self._last = received.stamp
        self.outcomes.market_time = received.stamp.market_time
        if received.gap is not None and received.kind not in BOOK_KINDS:
            self._distrust(f"a frame before a {received.kind} did not come")
        ticker = self.data.take(received)
        if ticker is not None:
            self._due[ticker] = None
            self._bus.publish(BookChanged(ticker))
        elif isinstance(received.own, OwnFill):
            self.outcomes.fill(received.own.fill)
        elif isinstance(received.own, OwnOrder):
            self.outcomes.told(received.own)
        elif isinstance(received.event, MarketStatusChanged):
            self._status_changed(received.event)
        elif received.error is not None and received.kind not in BOOK_KINDS:
            self._distrust(f"a {received.kind} frame could not be read: {received.error}")

    def decide_due(self) -> None:
        """Decide for the markets whose book changed since the last call."""
        due, self._due = self._due, {}
        loaded, last = self._slot.current, self._last
        if not due or loaded is None or last is None or not self._is_acting():
            return
        for ticker in due:
            if self._slot.current is loaded and self._may_decide(ticker, last.market_time):
                self._decide(ticker, loaded, last)

    def _may_decide(self, ticker: str, now: int) -> bool:
        if not self.data.observers[ticker].is_open:
            return False
        decided_at = self._decided_at.get(ticker)
        # Market time may jump back once, from our clock to the exchange's first own time.
        if decided_at is not None and 0 <= now - decided_at < self._throttle:
            return False
        if self.outcomes.orders.must_wait(ticker):
            self.counts.deferred += 1
            return False
        return True

    def _decide(self, ticker: str, loaded: LoadedPolicy, last: Stamp) -> None:
        observer = self.data.observers[ticker]
        account = self.outcomes.accounts.market(ticker)
        now = last.market_time
        self._decided_at[ticker] = now
        self._shown(ticker)
        try:
            proposal = propose(observer, account, loaded.policy, self._limits.order_quantity, now)
        except PolicyRejected as rejected:
            self._slot.refuse(loaded.version, str(rejected))
            return
        number = self.counts.decisions + 1
        ident = decision_id(self._run_id, number)
        order = self._order_of(ident, ticker, proposal.step, now)
        step, reason = self._checked(ticker, account, proposal, order, now)
        decision = Decision(
            number=number,
            decision_id=ident,
            ticker=ticker,
            frame_no=last.frame_no,
            market_time=now,
            received_at=last.received_at,
            decided_at=self._now(),
            policy_version=loaded.version,
            proposal=proposal,
            step=step,
            reason=reason,
        )
        self._count(decision)  # what the order changes comes after it
        result = self._act(ticker, step, order)
        self._journal.add_decision(self._row(decision, result))
        self._bus.publish(DecisionMade(decision, result))

    def _order_of(self, decision: UUID, ticker: str, step: Step, now: int) -> TrackedOrder | None:
        intent = step.intent
        if intent is None:
            return None
        return TrackedOrder(
            client_order_id(self._run_id, decision),
            decision,
            ticker,
            intent.side,
            intent.price,
            intent.quantity,
            created_at=self._now(),
            market_time=now,
        )

    def _checked(
        self,
        ticker: str,
        account: MarketAccount,
        proposal: Proposal,
        order: TrackedOrder | None,
        now: int,
    ) -> tuple[Step, str]:
        """Give the step that risk lets pass, and why it is not what was chosen."""
        step, observer = proposal.step, self.data.observers[ticker]
        if step.is_forbidden:
            return step, f"{Action(proposal.chosen).name} is forbidden"
        if step.intent is None or order is None:
            return step, ""
        accounts = self.outcomes.accounts
        standing = Standing(
            needed=accounts.reserve_needed(as_order(order)),
            available=accounts.ledger.available,
            market_left=account.spendable,
            open_orders=len(self.outcomes.orders.open()),
        )
        why = refusal(step.intent, observer.market, observer.status, standing, self._limits, now)
        if why is None:
            return step, ""
        self.counts.refused += 1
        hold = plan(
            Action.HOLD, proposal.allowed, observer, account, self._limits.order_quantity, now
        )
        return hold, f"refused by risk: {why}"

    def _act(self, ticker: str, step: Step, order: TrackedOrder | None) -> str:
        resting = self.outcomes.orders.resting(ticker) if step.cancels else None
        placing = order if step.intent is not None else None
        if resting is None and placing is None:
            return "hold"
        if not self._offer(Job(ticker, resting, placing, self._monotonic())):
            return "not sent: the order queue is full"
        if resting is not None:
            self.outcomes.cancelling(resting.client_order_id)
        if placing is None:
            return "cancelling"
        self.outcomes.placed(placing)
        return "sending"

    def _count(self, decision: Decision) -> None:
        self.counts.decisions += 1
        self.counts.actions[decision.step.action] += 1
        self.counts.forbidden += decision.step.is_forbidden

    def _row(self, decision: Decision, result: str) -> trading.Decision:
        proposal = decision.proposal
        is_hold = decision.step.action is Action.HOLD
        return trading.Decision(
            run_id=self._run_id,
            decision_no=decision.number,
            decision_id=decision.decision_id,
            ticker=decision.ticker,
            session_id=self._session(),
            frame_no=decision.frame_no,
            market_time=decision.market_time,
            received_at=decision.received_at,
            decided_at=decision.decided_at,
            policy_version=decision.policy_version,
            action=int(decision.step.action),
            forbidden=decision.step.is_forbidden,
            mask=mask_bits(proposal.allowed),
            observation_hash=observation_hash(proposal.observation, proposal.allowed),
            observation=None if is_hold else tuple(proposal.observation),
            reason=decision.reason or result,
        )

    def _status_changed(self, event: MarketStatusChanged) -> None:
        if event.grid is not None and event.ticker in self.data.observers:
            self._shown(event.ticker)  # one's own order has another place in another grid
        if event.result is not MarketResult.UNKNOWN:
            self._results[event.ticker] = event.result
        if event.status is MarketStatus.FINALIZED:
            result = self._results.get(event.ticker, event.result)
            try:
                value = settlement_value(result, event.settlement_value)
            except SettlementError as unclear:
                self._distrust(f"{event.ticker} is settled: {unclear}")
            else:
                self.outcomes.settle(event.ticker, value)
