"""Recorded rows by day, so that days go whole; leases, spool positions, listings and audits.

Five tables become partitioned by `received_at`, a partition for each UTC day, named
`<table>_YYYYMMDD`. Rows that were there move over, none is lost. BRIN indexes cost COPY next to
nothing and find a session's frames, which lie together as they came.
"""

from importlib.resources import files

from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None

# Partitioned tables, each with the constraints that its new form has.
BY_DAY = {
    "rl_orderbook_deltas": "",
    "rl_orderbook_snapshots": (
        ", CHECK (source IN ('exchange', 'seam', 'periodic', 'rest')),"
        " CHECK ((source = 'rest') = (session_id IS NULL))"
    ),
    "rl_public_trades": "",
    "rl_market_lifecycle": "",
    "rl_feed_frames": "",
}

# A day is made beside its table and then attached: attaching lets rows be read and written
# meanwhile, creating it in place would wait for every reader and hold up every writer behind it.
MAKE_DAYS = """
CREATE FUNCTION rl_make_days(first_ns bigint, last_ns bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    a_day CONSTANT bigint := 86400000000000;
    made integer := 0;
    parent text;
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(1802267756);
    FOR day IN first_ns / a_day .. last_ns / a_day LOOP
        FOREACH parent IN ARRAY ARRAY['rl_orderbook_deltas', 'rl_orderbook_snapshots',
                                      'rl_public_trades', 'rl_market_lifecycle', 'rl_feed_frames']
        LOOP
            part := parent || '_' || to_char(date '1970-01-01' + day::integer, 'YYYYMMDD');
            IF to_regclass(part) IS NULL THEN
                EXECUTE 'CREATE TABLE ' || part || ' (LIKE ' || parent || ' INCLUDING CONSTRAINTS)';
            END IF;
            IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(part)) THEN
                EXECUTE 'ALTER TABLE ' || parent || ' ATTACH PARTITION ' || part
                    || ' FOR VALUES FROM (' || day * a_day || ') TO (' || (day + 1) * a_day || ')';
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION rl_make_days IS
    'makes the partitions of the UTC days from first_ns to last_ns, both included, where missing';
"""

SESSIONS = """
ALTER TABLE rl_orderbook_sessions
    ADD shard text NOT NULL DEFAULT 'main',
    ADD epoch bigint NOT NULL DEFAULT 0,
    ADD cannot_know text[] NOT NULL DEFAULT '{}',
    ADD books_sha256 text,
    ADD end_status text CHECK (end_status IN ('closed', 'repaired')),
    ADD first_row_at bigint,
    ADD last_row_at bigint,
    DROP CONSTRAINT rl_orderbook_sessions_verdict_check,
    ADD CONSTRAINT rl_orderbook_sessions_verdict_check
        CHECK (verdict IN ('ok', 'gaps', 'failed', 'pruned'));
CREATE INDEX rl_orderbook_sessions_by_time ON rl_orderbook_sessions (started_at);
COMMENT ON COLUMN rl_orderbook_sessions.epoch IS 'which holding of its lease recorded it';
COMMENT ON COLUMN rl_orderbook_sessions.cannot_know IS 'what no row can prove, one sentence each';
COMMENT ON COLUMN rl_orderbook_sessions.books_sha256 IS
    'hash of the closing books as its recorder had them';
COMMENT ON COLUMN rl_orderbook_sessions.end_status IS
    'how its recorder ended it; status stays active until the certificate is drawn';
COMMENT ON COLUMN rl_orderbook_sessions.first_row_at IS
    'no row of it has a received_at before; with last_row_at it tells in which days its rows lie';
WITH bounds AS (
    SELECT session_id, min(low) AS low, max(high) AS high FROM (
        SELECT session_id, min(received_at) AS low, max(received_at) AS high
          FROM rl_orderbook_deltas GROUP BY session_id
        UNION ALL SELECT session_id, min(received_at), max(received_at)
          FROM rl_orderbook_snapshots GROUP BY session_id
        UNION ALL SELECT session_id, min(received_at), max(received_at)
          FROM rl_public_trades GROUP BY session_id
        UNION ALL SELECT session_id, min(received_at), max(received_at)
          FROM rl_market_lifecycle GROUP BY session_id
        UNION ALL SELECT session_id, min(received_at), max(received_at)
          FROM rl_feed_frames GROUP BY session_id
    ) AS found GROUP BY session_id
)
UPDATE rl_orderbook_sessions AS session SET first_row_at = low, last_row_at = high
  FROM bounds WHERE bounds.session_id = session.session_id;
ALTER TABLE rl_feed_gaps
    DROP CONSTRAINT rl_feed_gaps_pkey,
    DROP CONSTRAINT rl_feed_gaps_kind_check,
    ADD CONSTRAINT rl_feed_gaps_kind_check
        CHECK (kind IN ('missing', 'bad_frame', 'carried', 'outage', 'grid'));
CREATE INDEX rl_feed_gaps_by_frame ON rl_feed_gaps (session_id, frame_no);
COMMENT ON TABLE rl_feed_gaps IS
    'missing: frames expected..received-1 of sid never came, told by frame_no; bad_frame: frame_no itself could not be used and stands here whole; carried: stale already when the session began at a rotation; outage: nothing was connected from started_at to recovered_at; grid: the book could not follow its market to another price grid at frame_no';
"""

LEASES = """
CREATE TABLE rl_recorder_leases (
    lease_key  text PRIMARY KEY,
    holder     text NOT NULL,
    epoch      bigint NOT NULL,
    began_at   bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE rl_recorder_epochs (
    lease_key text NOT NULL,
    epoch     bigint NOT NULL,
    holder    text NOT NULL,
    began_at  bigint NOT NULL,
    PRIMARY KEY (lease_key, epoch)
);
COMMENT ON TABLE rl_recorder_epochs IS 'who held a lease from when; the next epoch ended it';
CREATE TABLE rl_spool_positions (
    spool_id   text PRIMARY KEY,
    position   bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rl_spool_positions IS
    'the last record of a spool whose rows are committed; it moves in their transaction';
"""

LISTINGS = """
CREATE TABLE rl_market_listings (
    session_id         text NOT NULL,
    frame_no           bigint NOT NULL,
    ticker             text NOT NULL,
    reason             text NOT NULL
                       CHECK (reason IN ('begun', 'joined', 'lifecycle', 'released')),
    event_ticker       text NOT NULL,
    series_ticker      text NOT NULL,
    title              text NOT NULL,
    grid               jsonb NOT NULL,
    status             text NOT NULL,
    open_time          bigint,
    close_time         bigint,
    result             text NOT NULL,
    settlement_value   integer,
    fee_type           text NOT NULL,
    fee_multiplier_num bigint NOT NULL,
    fee_multiplier_den bigint NOT NULL CHECK (fee_multiplier_den > 0),
    at                 bigint NOT NULL
);
CREATE INDEX rl_market_listings_by_session ON rl_market_listings (session_id, frame_no);
CREATE INDEX rl_market_listings_by_market ON rl_market_listings (ticker, at);
COMMENT ON COLUMN rl_market_listings.frame_no IS 'the frame from which the listing holds';

CREATE TABLE rl_book_audits (
    session_id text NOT NULL,
    frame_no   bigint NOT NULL,
    ticker     text NOT NULL,
    at         bigint NOT NULL,
    verdict    text NOT NULL,
    tries      integer NOT NULL,
    took       bigint NOT NULL,
    age        bigint,
    detail     text NOT NULL
);
CREATE INDEX rl_book_audits_by_session ON rl_book_audits (session_id, frame_no);
COMMENT ON TABLE rl_book_audits IS 'a book held against the answer of the exchange over REST';
"""


def upgrade() -> None:
    _run(MAKE_DAYS)
    for table in BY_DAY:
        _run(f"ALTER TABLE {table} RENAME TO {table}_r0001")
    for table, checks in BY_DAY.items():
        _run(f"CREATE TABLE {table} (LIKE {table}_r0001{checks}) PARTITION BY RANGE (received_at)")
        _run(
            f"CREATE INDEX {table}_by_frame ON {table}"
            " USING brin (session_id, frame_no, received_at)"
            " WITH (autosummarize = on, pages_per_range = 32)"
        )
    _run("ALTER TABLE rl_orderbook_snapshots ALTER session_id DROP NOT NULL")
    _run("DROP INDEX rl_orderbook_snapshots_by_market")
    _run(
        "CREATE INDEX rl_orderbook_snapshots_by_market"
        " ON rl_orderbook_snapshots (session_id, ticker, frame_no)"
    )
    _move_rows()
    for statements in (SESSIONS, LEASES, LISTINGS):
        _run(statements)
    _run("COMMENT ON TABLE rl_feed_frames IS 'frames of kinds that have no table of their own'")
    _run((files("kalshiflow.store") / "migrations" / "book_at.sql").read_text())


def downgrade() -> None:
    raise NotImplementedError("recordings are never migrated back")


def _move_rows() -> None:
    for table in BY_DAY:
        _run(
            "SELECT rl_make_days(day * 86400000000000, day * 86400000000000) FROM"
            f" (SELECT DISTINCT received_at / 86400000000000 AS day FROM {table}_r0001) AS days"
        )
        _run(f"INSERT INTO {table} SELECT * FROM {table}_r0001 ORDER BY session_id, frame_no")
        _run(f"DROP TABLE {table}_r0001")


def _run(statement: str) -> None:
    # Straight to the driver: SQLAlchemy would read a per cent sign as a parameter.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statement)
