"""One trader: its parts, put together, and what the conductor has it do in each state."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import httpx

from kalshiflow.agent.account import MarketAccount
from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import Endpoints
from kalshiflow.exchange.errors import ConnectionRefused
from kalshiflow.exchange.selection import select_markets
from kalshiflow.market.units import Cash, cash_to_dollars
from kalshiflow.settings import Environment, OrdersTo
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from trader.accounts import Accounts
from trader.bus import Bus
from trader.commands import Commands
from trader.conductor import DATABASE, RISK, Conductor
from trader.counts import Counts
from trader.desk import Desk
from trader.events import ComponentChanged, PolicyChanged
from trader.journal import Journal
from trader.leftovers import close_leftovers
from trader.lifecycle import Lifecycle
from trader.link import Link
from trader.market_data import MarketData, as_it_is
from trader.outcomes import Outcomes
from trader.plan import Plan, TapePlan
from trader.policies import ChampionFollower, PolicySlot, Registry
from trader.reconcile import Reconciler, Squared
from trader.risk import Limits
from trader.routes import ExchangeRoute
from trader.screens import Screens
from trader.sending import Sender
from trader.simulated import SimulatedExchange
from trader.status import Parts
from trader.tape import Tape
from trader.taping import Taping

FILL_CHECK_SECONDS = 1.0


class NoMarkets(ConnectionRefused):
    """The exchange lists no market that we may trade, as yet."""


class Trader:
    """The parts of one run. `run` ends by raising `ShutdownRequested`, or what went wrong."""

    def __init__(
        self,
        run_id: UUID,
        plan: Plan,
        where: Endpoints,
        credentials: Credentials,
        store: Store,
        client: KalshiClient,
        registry: httpx.AsyncClient,
        *,
        tape: TapePlan | None = None,
        now: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._run_id = run_id
        self._plan = plan
        self._store = store
        self._client = client
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._trades = True
        self._leftovers_closed = False
        is_simulated = plan.orders_to is OrdersTo.SIMULATED
        self.bus = Bus()
        self.slot = PolicySlot()
        self.counts = Counts()
        self.journal = Journal(store, run_id, self._database_lost, self._database_back)
        self.accounts = Accounts(plan.budget, plan.initial_cash if is_simulated else Cash(0))
        self.tape = Tape(lambda: self.counts.decisions, self._account_parts, clock=now)
        self.taping = Taping(self.tape, tape, clock=now)
        self.outcomes = self._make_outcomes()
        self._simulated = self._make_simulated() if is_simulated else None
        self.data = MarketData(self._simulated.receive if self._simulated else as_it_is)
        self.conductor = self._make_conductor()
        self.sender = self._make_sender(sleep)
        self.desk = self._make_desk()
        self.link = Link(
            lambda: connect(where.ws, credentials, clock=now),
            self.desk,
            self.tape,
            listed=self.data.listed,
            monotonic=monotonic,
            changed=self._link_changed,
        )
        self.reconciler = Reconciler(client, self.outcomes, self.sender, sleep=sleep)
        self.follower = ChampionFollower(
            Registry(registry),
            self.slot,
            poll_seconds=plan.poll_seconds,
            now=now,
            changed=self._policy_changed,
        )
        self.commands = Commands(
            store, run_id, self.conductor, now=now, lost=self.journal.mark_lost
        )
        self.parts = self._make_parts(where.environment)
        self.screens = Screens(self.parts, now)
        self.screens.subscribe(self.bus)

    # --- how the parts are put together ----------------------------------------------------

    def _make_outcomes(self) -> Outcomes:
        return Outcomes(
            self._run_id,
            self.accounts,
            self.journal,
            self.bus,
            self.counts,
            now=self._now,
            touched=self._touched,
            troubled=self._troubled,
        )

    def _make_simulated(self) -> SimulatedExchange:
        return SimulatedExchange(
            self._run_id,
            self._plan.initial_cash,
            fill=self.outcomes.fill,
            told=self.outcomes.told,
            latency=self._plan.latency,
            model=self._plan.fill_model,
        )

    def _make_conductor(self) -> Conductor:
        return Conductor(
            self,
            Lifecycle(self._now()),
            self.bus,
            self.slot,
            self.counts,
            self._plan.orders_to,
            now=self._now,
            monotonic=self._monotonic,
        )

    def _make_sender(self, sleep: Callable[[float], Awaitable[None]]) -> Sender:
        return Sender(
            self._simulated or ExchangeRoute(self._client),
            self.outcomes,
            self.journal,
            self._run_id,
            may_send=self.conductor.may_send,
            distrust=self.conductor.want_squaring,
            now=self._now,
            monotonic=self._monotonic,
            sleep=sleep,
        )

    def _make_desk(self) -> Desk:
        return Desk(
            self._run_id,
            self.data,
            self.outcomes,
            self.slot,
            self.journal,
            self.bus,
            self.counts,
            Limits(self._plan.budget, self._plan.order_quantity),
            throttle=self._plan.throttle,
            now=self._now,
            monotonic=self._monotonic,
            is_acting=self.conductor.is_acting,
            shown=self._touched,
            session=lambda: self.tape.session_id,
            offer=self.sender.offer,
            distrust=self.conductor.want_squaring,
        )

    def _make_parts(self, environment: Environment) -> Parts:
        return Parts(
            run_id=self._run_id,
            environment=environment,
            orders_to=self._plan.orders_to,
            started_at=self._now(),
            conductor=self.conductor,
            counts=self.counts,
            data=self.data,
            outcomes=self.outcomes,
            slot=self.slot,
            link=self.link,
            journal=self.journal,
            sender=self.sender,
            bus=self.bus,
            taping=self.taping,
        )

    async def run(self) -> None:
        """Run all parts together; the first that fails ends them all."""
        await self.commands.remember()
        async with asyncio.TaskGroup() as group:
            for name, work in self._work():
                group.create_task(work, name=name)

    def _work(self) -> Iterator[tuple[str, Any]]:
        yield "conductor", self.conductor.run()
        yield "time limits", self.conductor.watch_time()
        yield "link", self.link.run()
        yield "late fills", self._watch_fills()
        yield "orders", self.sender.run()
        yield "journal", self.journal.run()
        yield "policies", self.follower.run()
        yield "commands", self.commands.run()
        yield "observers", self.bus.run()
        yield "screens", self.screens.run()

    async def _watch_fills(self) -> None:
        while True:
            await asyncio.sleep(FILL_CHECK_SECONDS)
            for order in self.outcomes.late_fills(self._monotonic()):
                self.conductor.want_squaring(f"fills of order {order.client_order_id} are late")

    # --- what the conductor has done -------------------------------------------------------

    async def find_markets(self) -> str:
        """Choose the markets and begin to follow them."""
        found = await select_markets(
            self._client,
            mode=self._plan.mode,
            tickers=self._plan.tickers,
            limit=self._plan.market_limit,
            series=self._plan.filters.series,
            categories=self._plan.filters.categories,
            exclude=self._plan.filters.exclude,
        )
        if not found:
            raise NoMarkets("the exchange lists no market to trade")
        markets = {market.ticker: market for market in found}
        self.data.follow(markets)
        self.accounts.follow(markets)
        if self._simulated is not None:
            self._simulated.follow(markets)
        self.link.follow(sorted(markets))
        return f"{len(markets)} markets"

    async def check_client(self) -> str:
        """See that the exchange takes our signed requests."""
        await self._ask_whether_it_trades()
        balance = await self._client.get_balance()
        return f"{cash_to_dollars(balance.available)} dollars available"

    async def square(self) -> Squared:
        """Square the account with the exchange's; a simulated one has no other to agree with."""
        if self._simulated is not None:
            await self.sender.drained()
            await self.stop_orders()
            return Squared(self.accounts.ledger.available, (), 0, 0)
        await self._close_leftovers()
        squared = await self.reconciler.square()
        await self._ask_whether_it_trades()
        return squared

    async def stop_orders(self) -> None:
        """Cancel what rests, without squaring; what is just being sent has it squared after all."""
        await self.sender.cancel_resting()
        if self.sender.waiting:
            self.conductor.want_squaring("orders were under way")

    def books_ready(self) -> tuple[int, int]:
        """Give how many books can be trusted, and of how many."""
        return self.data.ready(), len(self.data.observers)

    def is_connected(self) -> bool:
        """Say whether frames are coming in."""
        return self.link.is_up

    def connection_problem(self) -> str | None:
        """Say why they are not."""
        return self.link.problem

    def exchange_trades(self) -> bool:
        """Say whether the exchange takes orders now, as far as we know."""
        return self._trades

    async def _ask_whether_it_trades(self) -> None:
        status = await self._client.get_exchange_status()
        self._trades = status.exchange_active and status.trading_active

    async def _close_leftovers(self) -> None:
        if self._leftovers_closed:
            return
        try:
            await close_leftovers(
                self._store, self._client, self._run_id, self._now(), sleep=self._sleep
            )
        except StoreUnavailable as gone:
            self.journal.mark_lost(str(gone))  # squared all the same, and tried again next time
        else:
            self._leftovers_closed = True

    # --- what the parts tell ---------------------------------------------------------------

    def _touched(self, ticker: str) -> None:
        observer = self.data.observers.get(ticker)
        if observer is not None:
            account = self.accounts.market(ticker)
            observer.own_orders(account)
            self.tape.account(ticker, account)

    def _account_parts(self) -> Iterator[tuple[str, MarketAccount]]:
        for ticker in self.data.observers:
            yield ticker, self.accounts.market(ticker)

    def _troubled(self, why: str) -> None:
        self.conductor.hold(RISK, why)

    def _database_lost(self, why: str) -> None:
        self.conductor.hold(DATABASE, why)
        self.bus.publish(ComponentChanged("database", "failed", why, self._now()))

    def _database_back(self) -> None:
        self.conductor.release(DATABASE)
        self.bus.publish(ComponentChanged("database", "healthy", "it answers", self._now()))

    def _link_changed(self) -> None:
        status = "healthy" if self.link.is_up else "failed"
        details = self.link.problem or "connected"
        self.bus.publish(ComponentChanged("connection", status, details, self._now()))
        self.conductor.look()

    def _policy_changed(self) -> None:
        current = self.slot.current
        if current is not None:
            self.bus.publish(PolicyChanged(current.version, current.fingerprint, current.loaded_at))
        self.conductor.look()
