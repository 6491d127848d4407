"""What the trader's tests share: a clock, an exchange behind a fake transport, frames, a trader."""

import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import httpx
import psycopg2
import pytest

from kalshiflow.agent.policy import Choice
from kalshiflow.exchange import payloads
from kalshiflow.exchange import translate_bodies as bodies
from kalshiflow.exchange.client import KalshiClient, Retries
from kalshiflow.exchange.credentials import Credentials, generate_key
from kalshiflow.exchange.environments import Endpoints
from kalshiflow.exchange.feed import Feed
from kalshiflow.exchange.records import Balance, OwnOrder, PositionRecord
from kalshiflow.exchange.selection import Filters
from kalshiflow.market.events import Side
from kalshiflow.market.fees import fill_cost
from kalshiflow.market.listing import FeeTerms, Market
from kalshiflow.market.orders import ENDED, Fill, Order, OrderState, Role
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import Cash, Price, Quantity, quantity_to_contracts
from kalshiflow.settings import Environment, OrdersTo
from kalshiflow.store import trading
from kalshiflow.store.database import Store
from trader.lifecycle import State
from trader.plan import Plan
from trader.policies import LoadedPolicy
from trader.trader import Trader

SECOND = 1_000_000_000
START = 1_795_165_200 * SECOND
TICKER = "KXFOO-26NOV20-T50"
MARKET = Market(TICKER, "KXFOO-26NOV20", "Foo", close_time=START + 86_400 * SECOND)
DOLLARS = 1_000_000
HUNDRED, THOUSAND = Cash(100 * DOLLARS), Cash(1_000 * DOLLARS)


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return START + int(self.seconds * SECOND)

    def monotonic(self):
        return self.seconds

    async def sleep(self, seconds):
        self.seconds += seconds


class FakeExchange:
    """One account at an exchange of which only the account's own REST exists.

    `faults` holds what happens to the next creates: `lost` (no answer, no order), `landed` (no
    answer, but the order stands), `refused`. `blind` is how many order lists show nothing yet.
    """

    def __init__(self, clock, cash=THOUSAND):
        self.clock = clock
        self.portfolio = Portfolio(cash)
        self.orders = {}
        self.fills = []
        self.requests = []
        self.faults = deque()
        self.blind = 0
        self.is_down = False
        self.deposits_hidden = Cash(0)

    def handle(self, request):
        method, path = request.method, request.url.path.removeprefix("/trade-api/v2")
        self.requests.append(f"{method} {path}")
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        if path == "/exchange/status":
            return self._ok(payloads.ExchangeStatusBody(True, True))
        if method == "POST":
            return self._create(request)
        if method == "DELETE":
            return self._cancel(path.rpartition("/")[2])
        if path == "/portfolio/orders":
            return self._list(request.url.params)
        if path.startswith("/portfolio/orders/"):
            order = self.orders.get(path.rpartition("/")[2])
            if order is None:
                return self._error(404, "not_found")
            return self._ok(payloads.OrderAnswer(bodies.order_body(order, "me")))
        if path == "/portfolio/fills":
            found = [
                f for f in self.fills if f.at >= int(request.url.params.get("min_ts", 0)) * SECOND
            ]
            return self._ok(payloads.FillsPage([bodies.fill_body(fill) for fill in found]))
        if path == "/portfolio/positions":
            return self._positions()
        if path == "/portfolio/balance":
            body = bodies.balance_body(Balance(self.portfolio.available, Cash(0)), self.clock.now())
            return self._ok(body)
        if path == "/portfolio/settlements":
            return self._ok(payloads.SettlementsPage([]))
        raise AssertionError(f"nobody expected {method} {path}")

    def rest(self, order, client_order_id=""):
        """Let an order rest, as if it had been sent."""
        self.portfolio.place(replace(order, state=OrderState.RESTING), MARKET.fees)
        self.orders[order.order_id] = OwnOrder(
            order.order_id,
            client_order_id or order.client_order_id,
            order.ticker,
            order.side,
            order.price,
            OrderState.RESTING,
            order.quantity,
            Quantity(0),
            order.quantity,
            created_at=self.clock.now(),
        )

    def fill(self, order_id, quantity, price=None):
        """Fill a resting order in part or whole; gives the fill."""
        order = self.orders[order_id]
        price = order.price if price is None else price
        cost = fill_cost(Cash(0), FeeTerms(), Role.TAKER, order.side, price, quantity)
        fill = Fill(
            f"trade-{len(self.fills) + 1}",
            order_id,
            order.ticker,
            order.side,
            price,
            quantity,
            Role.TAKER,
            cost.net,
            self.clock.now(),
            order.client_order_id,
        )
        self.portfolio.apply_fill(fill)
        self.fills.append(fill)
        filled = Quantity(order.filled + quantity)
        state = OrderState.FILLED if filled == order.quantity else order.state
        remaining = Quantity(order.quantity - filled)
        self.orders[order_id] = replace(order, filled=filled, remaining=remaining, state=state)
        return fill

    def posts(self):
        return [r for r in self.requests if r.startswith("POST")]

    def _create(self, request):
        body = payloads.decode(request.content, payloads.CreateOrder)
        fault = self.faults.popleft() if self.faults else None
        if fault == "lost":
            raise httpx.ReadTimeout("no answer", request=request)
        if fault == "refused":
            return self._error(400, "insufficient_balance")
        if any(o.client_order_id == body.client_order_id for o in self.orders.values()):
            return self._error(409, "order_already_exists")
        order = bodies.new_order(body, f"order-{len(self.orders) + 1}")
        self.rest(order)
        if fault == "landed":
            raise httpx.ReadTimeout("no answer", request=request)
        answer = payloads.CreateOrderAnswer(
            order.order_id, "0.00", body.count, self.clock.now() // 1_000_000, body.client_order_id
        )
        return self._ok(answer, 201)

    def _cancel(self, order_id):
        order = self.orders.get(order_id)
        if order is None or order.state in ENDED:
            return self._error(404, "not_found")
        self.portfolio.cancel(order_id)
        self.orders[order_id] = replace(order, state=OrderState.CANCELLED, remaining=Quantity(0))
        left = quantity_to_contracts(order.remaining)
        return self._ok(payloads.CancelOrderAnswer(order_id, left, self.clock.now() // 1_000_000))

    def _list(self, params):
        if self.blind:
            self.blind -= 1
            return self._ok(payloads.OrdersPage([]))
        wanted = {"resting": [OrderState.RESTING]}.get(params.get("status"), list(OrderState))
        found = [
            bodies.order_body(order, "me")
            for order in self.orders.values()
            if order.state in wanted and params.get("ticker") in {None, order.ticker}
        ]
        return self._ok(payloads.OrdersPage(found))

    def _positions(self):
        found = [
            PositionRecord(ticker, held.quantity, held.cost, held.realised, held.fees, Cash(0))
            for ticker, held in self.portfolio.positions.items()
        ]
        page = [bodies.position_body(position, self.clock.now()) for position in found]
        return self._ok(payloads.PositionsPage(page))

    def _ok(self, body, status=200):
        return httpx.Response(status, content=payloads.encode(body))

    def _error(self, status, code):
        return httpx.Response(status, json={"error": {"code": code, "message": code}})


class Frames:
    """Writes frames as the exchange would, and reads them with a feed, in order."""

    def __init__(self, clock):
        self.clock = clock
        self.feed = Feed()
        self._seq = {}
        # The exchange's time is known from here on, as it is after the first seconds of any line.
        self("ticker", market_ticker="OTHER", ts_ms=clock.now() // 1_000_000)

    def __call__(self, kind, sid=None, **msg):
        frame = {"type": kind, "msg": msg}
        if sid is not None:
            self._seq[sid] = self._seq.get(sid, 0) + 1
            frame |= {"sid": sid, "seq": self._seq[sid]}
        return self.feed.receive(json.dumps(frame).encode(), self.clock.now())

    def skip(self, sid):
        self._seq[sid] = self._seq.get(sid, 0) + 1

    def snapshot(self, bids, asks, ticker=TICKER):
        return self(
            "orderbook_snapshot",
            1,
            market_ticker=ticker,
            yes_dollars_fp=[list(level) for level in bids],
            no_dollars_fp=[list(level) for level in asks],
        )

    def delta(self, side, price, change, ticker=TICKER, **more):
        return self(
            "orderbook_delta",
            1,
            market_ticker=ticker,
            side="yes" if side == "bid" else "no",
            price_dollars=price,
            delta_fp=change,
            ts_ms=self.clock.now() // 1_000_000,
            **more,
        )

    def fill(self, fill):
        return self(
            "fill",
            market_ticker=fill.ticker,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_order_id=fill.client_order_id,
            is_taker=fill.role is Role.TAKER,
            book_side="bid" if fill.side is Side.BID else "ask",
            yes_price_dollars=f"{fill.price / 10_000:.4f}",
            count_fp=quantity_to_contracts(fill.quantity),
            fee_cost=f"{fill.fee / 1_000_000:.6f}",
            post_position_fp="0.00",
            ts_ms=fill.at // 1_000_000,
        )


class Outage:
    """Takes a database away from everybody, by another name, and gives it back."""

    def __init__(self, admin_url, name):
        self._connection = psycopg2.connect(admin_url)
        self._connection.autocommit = True
        self._name = name
        self._is_on = False

    def begin(self):
        for _ in range(100):  # a pool may connect again between the two statements
            self._do(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{self._name}'"
            )
            try:
                self._do(f"ALTER DATABASE {self._name} RENAME TO {self._name}_away")
            except psycopg2.errors.ObjectInUse:
                continue
            self._is_on = True
            return
        raise AssertionError("the database is never free")

    def end(self):
        if self._is_on:
            self._do(f"ALTER DATABASE {self._name}_away RENAME TO {self._name}")
            self._is_on = False

    def close(self):
        self.end()
        self._connection.close()

    def _do(self, statement):
        with self._connection.cursor() as cursor:
            cursor.execute(statement)


class Scripted:
    """A policy that does what it is told, HOLD when it is told nothing more."""

    def __init__(self, *actions):
        self.actions = deque(actions)
        self.seen = []

    def act(self, observation, mask):
        self.seen.append((list(observation), tuple(mask)))
        action = self.actions.popleft() if self.actions else 0
        return Choice(action, (0.0,) * 5)


@pytest.fixture
def outage(postgres_server, postgres_url):
    made = Outage(postgres_server.url("postgres"), postgres_url.rpartition("/")[2])
    yield made
    made.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def exchange(clock):
    return FakeExchange(clock)


@pytest.fixture
def frames(clock):
    return Frames(clock)


@pytest.fixture
def scripted():
    return Scripted


@pytest.fixture
def resting_order():
    def make(order_id, side=Side.BID, price=4_000, quantity=1_000, client_order_id=""):
        return Order(
            order_id,
            TICKER,
            side,
            Price(price),
            Quantity(quantity),
            client_order_id=client_order_id,
        )

    return make


@pytest.fixture
def make_trader(clock, exchange, postgres_url):
    """Give an async context manager: a trader on a real database and the fake exchange."""

    @asynccontextmanager
    async def make(orders_to=OrdersTo.EXCHANGE, budget=HUNDRED):
        run_id = uuid4()
        plan = Plan(
            orders_to, "tickers", (TICKER,), 10, Filters(), 250_000_000, budget, Quantity(1_000),
            THOUSAND, 3.0,
        )  # fmt: skip
        where = Endpoints(
            Environment.LOCAL, "http://127.0.0.1:1/trade-api/v2", "ws://127.0.0.1:1/trade-api/ws/v2"
        )
        key = Credentials.from_pem("key", generate_key()[0])
        client = KalshiClient(
            where.rest, key, transport=httpx.MockTransport(exchange.handle), retries=Retries(1)
        )
        registry = httpx.AsyncClient(base_url="http://127.0.0.1:1")
        async with await Store.open(postgres_url) as store, client, registry:
            await trading.start_run(
                store, trading.Run(run_id, "local", orders_to.value, {}, clock.now())
            )
            trader = Trader(
                run_id, plan, where, key, store, client, registry,
                now=clock.now, monotonic=clock.monotonic, sleep=clock.sleep,
            )  # fmt: skip
            trader.data.follow({TICKER: MARKET})
            trader.accounts.follow({TICKER: MARKET})
            trader.link.is_up = True
            yield SimpleNamespace(trader=trader, store=store, run_id=run_id)

    return make


@pytest.fixture
def act(clock):
    """Put a trader into `acting` with a policy."""

    def put(trader, policy):
        trader.slot.current = LoadedPolicy(policy, "7", "f" * 64, "here", clock.now())
        for state in (
            State.INITIALIZING,
            State.ORDERBOOK_CONNECT,
            State.TRADING_CLIENT_CONNECT,
            State.CALIBRATING,
            State.READY,
            State.ACTING,
        ):
            trader.conductor.lifecycle.move(state, "test", clock.now())

    return put
