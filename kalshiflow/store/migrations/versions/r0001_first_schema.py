"""The first schema: markets, recorded sessions, the trader's journal, training and promotions.

Units everywhere: prices 1/10000 dollar, quantities 1/100 contract, cash 1/1000000 dollar, times UTC
nanoseconds. Sides: 0 bid, 1 ask, on the YES scale. `time_source`: 0 exchange, 1 carried, 2 receive.
"""

from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

MARKETS = """
CREATE TABLE rl_markets (
    ticker            text PRIMARY KEY,
    event_ticker      text NOT NULL,
    series_ticker     text NOT NULL,
    title             text NOT NULL,
    grid              jsonb NOT NULL,
    status            text NOT NULL,
    open_time         bigint,
    close_time        bigint,
    result            text NOT NULL,
    settlement_value  integer,
    fee_type          text NOT NULL,
    fee_multiplier_num bigint NOT NULL,
    fee_multiplier_den bigint NOT NULL CHECK (fee_multiplier_den > 0),
    updated_at        bigint NOT NULL
);
COMMENT ON COLUMN rl_markets.grid IS 'price bands [[start, end, step], ...]';
"""

# `frames` is the recorded position: the last frame number whose row is committed. It moves in the
# same transaction as the rows, so a batch whose commit was in doubt is known to be in or out.
SESSIONS = """
CREATE TABLE rl_orderbook_sessions (
    session_id     text PRIMARY KEY,
    origin         text NOT NULL CHECK (origin IN ('collector', 'trader', 'import')),
    environment    text NOT NULL,
    traded         boolean NOT NULL,
    status         text NOT NULL CHECK (status IN ('active', 'closed', 'repaired', 'failed')),
    started_at     bigint NOT NULL,
    ended_at       bigint,
    close_seq      bigint UNIQUE,
    markets        text[] NOT NULL,
    grids          jsonb NOT NULL,
    closes         jsonb NOT NULL,
    follows        text,
    seams          jsonb NOT NULL,
    frames         bigint NOT NULL DEFAULT 0,
    certificate    jsonb,
    verdict        text CHECK (verdict IN ('ok', 'gaps', 'failed')),
    verdict_reason text,
    end_reason     text,
    CHECK (ended_at >= started_at),
    CHECK ((status = 'active') = (close_seq IS NULL))
);
CREATE INDEX rl_orderbook_sessions_active ON rl_orderbook_sessions (origin) WHERE status = 'active';
COMMENT ON COLUMN rl_orderbook_sessions.close_seq IS 'order in which sessions were closed';
COMMENT ON COLUMN rl_orderbook_sessions.follows IS 'the session that this one goes on from, at a rotation';
COMMENT ON COLUMN rl_orderbook_sessions.seams IS 'sid to the seq that its first frame here must have, at a rotation';

CREATE TABLE rl_orderbook_snapshots (
    session_id     text NOT NULL,
    frame_no       bigint NOT NULL,
    ticker         text NOT NULL,
    sid            bigint,
    seq            bigint,
    exchange_ts    bigint,
    received_at    bigint NOT NULL,
    market_time    bigint NOT NULL,
    time_source    smallint NOT NULL,
    source         text NOT NULL CHECK (source IN ('exchange', 'seam', 'rest')),
    bid_prices     integer[] NOT NULL,
    bid_quantities bigint[] NOT NULL,
    ask_prices     integer[] NOT NULL,
    ask_quantities bigint[] NOT NULL,
    PRIMARY KEY (session_id, frame_no, ticker)
);
CREATE INDEX rl_orderbook_snapshots_by_market
    ON rl_orderbook_snapshots (session_id, ticker, frame_no);

CREATE TABLE rl_orderbook_deltas (
    frame_no        bigint NOT NULL,
    received_at     bigint NOT NULL,
    market_time     bigint NOT NULL,
    exchange_ts     bigint,
    change          bigint NOT NULL,
    seq             bigint,
    sid             bigint,
    price           integer NOT NULL,
    side            smallint NOT NULL,
    time_source     smallint NOT NULL,
    session_id      text NOT NULL,
    ticker          text NOT NULL,
    client_order_id text,
    PRIMARY KEY (session_id, frame_no)
);

CREATE TABLE rl_public_trades (
    frame_no    bigint NOT NULL,
    received_at bigint NOT NULL,
    market_time bigint NOT NULL,
    exchange_ts bigint,
    quantity    bigint NOT NULL,
    seq         bigint,
    sid         bigint,
    price       integer NOT NULL,
    taker_side  smallint NOT NULL,
    time_source smallint NOT NULL,
    session_id  text NOT NULL,
    ticker      text NOT NULL,
    trade_id    text NOT NULL,
    PRIMARY KEY (session_id, frame_no)
);

CREATE TABLE rl_market_lifecycle (
    session_id       text NOT NULL,
    frame_no         bigint NOT NULL,
    ticker           text NOT NULL,
    event_type       text NOT NULL,
    status           text,
    result           text NOT NULL,
    settlement_value integer,
    close_time       bigint,
    grid             jsonb,
    sid              bigint,
    seq              bigint,
    exchange_ts      bigint,
    received_at      bigint NOT NULL,
    market_time      bigint NOT NULL,
    time_source      smallint NOT NULL,
    PRIMARY KEY (session_id, frame_no)
);

CREATE TABLE rl_feed_frames (
    session_id  text NOT NULL,
    frame_no    bigint NOT NULL,
    sid         bigint,
    seq         bigint,
    kind        text NOT NULL,
    received_at bigint NOT NULL,
    market_time bigint NOT NULL,
    raw         text,
    PRIMARY KEY (session_id, frame_no)
);
COMMENT ON TABLE rl_feed_frames IS 'control frames, own-order frames and other kinds that have no table';

CREATE TABLE rl_feed_gaps (
    session_id   text NOT NULL,
    frame_no     bigint NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('missing', 'bad_frame', 'carried', 'outage')),
    channel      text NOT NULL,
    sid          bigint,
    seq          bigint,
    expected     bigint,
    received     bigint,
    tickers      text[] NOT NULL,
    reason       text NOT NULL,
    raw          text,
    started_at   bigint NOT NULL,
    recovered_at bigint,
    PRIMARY KEY (session_id, frame_no, kind)
);
COMMENT ON TABLE rl_feed_gaps IS
    'missing: frames expected..received-1 of sid never came, told by frame_no; bad_frame: frame_no itself could not be used and stands here whole; carried: stale already when the session began at a rotation; outage: nothing was connected from started_at to recovered_at';
"""

JOURNAL = """
CREATE TABLE rl_trading_runs (
    run_id       uuid PRIMARY KEY,
    environment  text NOT NULL,
    orders_to    text NOT NULL,
    settings     jsonb NOT NULL,
    started_at   bigint NOT NULL,
    ended_at     bigint,
    end_reason   text
);

CREATE TABLE rl_trading_decisions (
    run_id           uuid NOT NULL REFERENCES rl_trading_runs,
    decision_no      bigint NOT NULL,
    decision_id      uuid NOT NULL UNIQUE,
    ticker           text NOT NULL,
    session_id       text,
    frame_no         bigint NOT NULL,
    market_time      bigint NOT NULL,
    received_at      bigint NOT NULL,
    decided_at       bigint NOT NULL,
    policy_version   text NOT NULL,
    action           smallint NOT NULL,
    forbidden        boolean NOT NULL,
    mask             smallint NOT NULL,
    observation_hash bytea NOT NULL CHECK (length(observation_hash) = 16),
    observation      real[],
    reason           text NOT NULL,
    PRIMARY KEY (run_id, decision_no)
);
COMMENT ON COLUMN rl_trading_decisions.mask IS 'bit i set: action i was allowed';

CREATE TABLE rl_trading_orders (
    client_order_id uuid PRIMARY KEY,
    run_id          uuid NOT NULL REFERENCES rl_trading_runs,
    decision_id     uuid,
    ticker          text NOT NULL,
    side            smallint NOT NULL,
    price           integer NOT NULL,
    quantity        bigint NOT NULL CHECK (quantity > 0),
    time_in_force   text NOT NULL,
    state           text NOT NULL,
    order_id        text,
    filled          bigint NOT NULL DEFAULT 0,
    fees            bigint NOT NULL DEFAULT 0,
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    error           text,
    CHECK (filled BETWEEN 0 AND quantity)
);
CREATE INDEX rl_trading_orders_by_run ON rl_trading_orders (run_id, created_at);
CREATE INDEX rl_trading_orders_by_order ON rl_trading_orders (order_id);

CREATE TABLE rl_trading_fills (
    trade_id        text PRIMARY KEY,
    run_id          uuid NOT NULL REFERENCES rl_trading_runs,
    order_id        text NOT NULL,
    client_order_id uuid,
    ticker          text NOT NULL,
    side            smallint NOT NULL,
    price           integer NOT NULL,
    quantity        bigint NOT NULL,
    role            text NOT NULL,
    fee             bigint NOT NULL,
    at              bigint NOT NULL,
    position_after  bigint
);
CREATE INDEX rl_trading_fills_by_run ON rl_trading_fills (run_id, at);

CREATE TABLE rl_trader_commands (
    command_id bigserial PRIMARY KEY,
    command    text NOT NULL,
    arguments  jsonb NOT NULL,
    who        text NOT NULL,
    why        text NOT NULL,
    created_at bigint NOT NULL,
    taken_at   bigint,
    taken_by   uuid,
    done_at    bigint,
    outcome    text
);
CREATE INDEX rl_trader_commands_open ON rl_trader_commands (command_id) WHERE taken_at IS NULL;
"""

TRAINING = """
CREATE TABLE rl_training_runs (
    training_id   text PRIMARY KEY,
    trigger       text NOT NULL,
    dataset_id    text NOT NULL,
    sessions      text[] NOT NULL,
    status        text NOT NULL CHECK (status IN ('running', 'done', 'failed')),
    model_version text,
    evaluation    jsonb,
    verdict       jsonb,
    started_at    bigint NOT NULL,
    ended_at      bigint,
    error         text
);
CREATE INDEX rl_training_runs_by_time ON rl_training_runs (started_at);

CREATE TABLE rl_promotions (
    promotion_id  bigserial PRIMARY KEY,
    kind          text NOT NULL,
    model_name    text NOT NULL,
    model_version text NOT NULL,
    alias         text,
    fingerprint   text NOT NULL,
    verdict       jsonb NOT NULL,
    who           text NOT NULL,
    why           text NOT NULL,
    created_at    bigint NOT NULL
);
CREATE FUNCTION rl_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only';
END $$;
CREATE TRIGGER rl_promotions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rl_promotions
    FOR EACH STATEMENT EXECUTE FUNCTION rl_refuse_change();
"""


def upgrade() -> None:
    for statements in (MARKETS, SESSIONS, JOURNAL, TRAINING):
        op.get_bind().exec_driver_sql(statements)


def downgrade() -> None:
    raise NotImplementedError("recordings are never migrated back")
