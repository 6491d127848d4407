"""The trader's own tape: its account in each market as its policy saw it, change by change.

A further table by day, which `rl_make_days` makes with the others; the days that stand get theirs.
"""

from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None

ACCOUNTS = """
CREATE TABLE rl_account_changes (
    frame_no     bigint NOT NULL,
    change_no    bigint NOT NULL,
    decision_no  bigint NOT NULL,
    received_at  bigint NOT NULL,
    budget       bigint NOT NULL,
    position     bigint NOT NULL,
    cost         bigint NOT NULL,
    realised     bigint NOT NULL,
    fees         bigint NOT NULL,
    reserved     bigint NOT NULL,
    held_since   bigint NOT NULL,
    ordered_at   bigint NOT NULL,
    ordered      bigint NOT NULL,
    filled       bigint NOT NULL,
    bid_quantity bigint NOT NULL,
    bid_since    bigint NOT NULL,
    ask_quantity bigint NOT NULL,
    ask_since    bigint NOT NULL,
    bid_price    integer NOT NULL,
    ask_price    integer NOT NULL,
    session_id   text NOT NULL,
    ticker       text NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX rl_account_changes_by_frame ON rl_account_changes
    USING brin (session_id, frame_no, received_at)
    WITH (autosummarize = on, pages_per_range = 32);
COMMENT ON TABLE rl_account_changes IS
    'a market''s part of the trader''s account from after frame_no and decision decision_no on';
CREATE INDEX rl_trading_decisions_by_session ON rl_trading_decisions (session_id, decision_no)
    WHERE session_id IS NOT NULL;
"""

# As in r0002, with one more table.
MAKE_DAYS = """
CREATE OR REPLACE FUNCTION rl_make_days(first_ns bigint, last_ns bigint) RETURNS integer
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
                                      'rl_public_trades', 'rl_market_lifecycle', 'rl_feed_frames',
                                      'rl_account_changes']
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
"""

THE_DAYS_THAT_STAND = """
SELECT rl_make_days(at, at) FROM (
    SELECT (to_date(right(relname, 8), 'YYYYMMDD') - date '1970-01-01') * 86400000000000 AS at
      FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = 'rl_orderbook_deltas'::regclass
) AS days
"""


def upgrade() -> None:
    for statement in (ACCOUNTS, MAKE_DAYS, THE_DAYS_THAT_STAND):
        # Straight to the driver: SQLAlchemy would read a per cent sign as a parameter.
        with op.get_bind().connection.cursor() as cursor:
            cursor.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("recordings are never migrated back")
