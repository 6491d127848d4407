"""The decide path: from an observation to what is asked of the exchange, without effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid5

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.action import Mask, Step, mask, plan
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.agent.policy import Choice
from kalshiflow.market.units import Quantity


class Chooser(Protocol):
    """What a policy must do to decide."""

    def act(self, observation: Sequence[float], allowed: Mask) -> Choice:
        """Choose an action among the allowed ones."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a policy chose, from what, and what it comes to."""

    observation: list[float]
    allowed: Mask
    chosen: int
    step: Step


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is told and stored.

    `step` is what is done after risk had its word; `reason` says why where it is not what the
    policy chose. `market_time` is the exchange's clock, the other times are ours.
    """

    number: int
    decision_id: UUID
    ticker: str
    frame_no: int
    market_time: int
    received_at: int
    decided_at: int
    policy_version: str
    proposal: Proposal
    step: Step
    reason: str


def propose(
    observer: MarketObserver,
    account: MarketAccount,
    policy: Chooser,
    order_quantity: Quantity,
    now: int,
) -> Proposal:
    """Observe, mask, choose and decode at market time `now`."""
    observation = observer.observe(account, now)
    allowed = mask(observer, account, order_quantity)
    chosen = policy.act(observation, allowed).action
    step = plan(chosen, allowed, observer, account, order_quantity, now)
    return Proposal(observation, allowed, chosen, step)


def decision_id(run_id: UUID, number: int) -> UUID:
    """Give the id of a run's decision: the same for the same run and number."""
    return uuid5(run_id, f"decision {number}")


def client_order_id(run_id: UUID, decision: UUID) -> UUID:
    """Give the client order id of a decision's order: one order per decision, whoever asks."""
    return uuid5(run_id, str(decision))
