-- Books at an instant or at a frame of a session: the nearest snapshot before it (of the exchange, of
-- a seam, or periodic; never one read over REST) and the deltas after that snapshot, added up.
-- Times are receive times in UTC nanoseconds, prices 1/10000 dollar, quantities 1/100 contract.
-- Nothing is given where the book could not be trusted then.

-- Between which receive times the rows of a session lie, both included.
CREATE FUNCTION rl_session_span(session_id text)
RETURNS TABLE (low bigint, high bigint) LANGUAGE sql STABLE AS $$
    SELECT coalesce(first_row_at, started_at), coalesce(last_row_at, 9223372036854775807)
      FROM rl_orderbook_sessions AS s WHERE s.session_id = $1
$$;

-- When a frame was received; null where the session has no such frame.
CREATE FUNCTION rl_frame_time(session_id text, frame_no bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    low_at bigint;
    high_at bigint;
BEGIN
    SELECT low, high INTO low_at, high_at FROM rl_session_span($1);
    RETURN (
        SELECT min(at) FROM (
            SELECT received_at AS at FROM rl_orderbook_deltas
             WHERE session_id = $1 AND frame_no = $2 AND received_at BETWEEN low_at AND high_at
            UNION ALL
            SELECT received_at FROM rl_orderbook_snapshots
             WHERE session_id = $1 AND frame_no = $2 AND source = 'exchange'
               AND received_at BETWEEN low_at AND high_at
            UNION ALL
            SELECT received_at FROM rl_public_trades
             WHERE session_id = $1 AND frame_no = $2 AND received_at BETWEEN low_at AND high_at
            UNION ALL
            SELECT received_at FROM rl_market_lifecycle
             WHERE session_id = $1 AND frame_no = $2 AND received_at BETWEEN low_at AND high_at
            UNION ALL
            SELECT received_at FROM rl_feed_frames
             WHERE session_id = $1 AND frame_no = $2 AND received_at BETWEEN low_at AND high_at
            UNION ALL
            SELECT started_at FROM rl_feed_gaps
             WHERE session_id = $1 AND frame_no = $2 AND kind = 'bad_frame'
        ) AS frame
    );
END $$;

-- From which frame of a session a market was followed no more; null where it was followed then. The
-- frame counts up to `frame_no` (null: all of the session).
CREATE FUNCTION rl_released_from(session_id text, ticker text, frame_no bigint DEFAULT NULL)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE newest.reason WHEN 'released' THEN newest.frame_no END FROM (
        SELECT l.reason, l.frame_no FROM rl_market_listings AS l
         WHERE l.session_id = $1 AND l.ticker = $2 AND (l.frame_no <= $3 OR $3 IS NULL)
           AND l.reason IN ('begun', 'joined', 'released')
         ORDER BY l.frame_no DESC, l.at DESC, l.reason LIMIT 1
    ) AS newest
$$;

-- The snapshot that a market's book after a frame (null: the last at which it was followed) is built
-- from: one row where that book can be trusted, none where it cannot: before the market's first
-- snapshot, after a gap and before the snapshot that mended it, after the market was released,
-- beyond the session's last frame. `low` and `high` bound the receive times of the session's rows.
CREATE FUNCTION rl_book_base(session_id text, ticker text, frame_no bigint DEFAULT NULL)
RETURNS TABLE (
    base_frame bigint, source text, received_at bigint, last_frame bigint, low bigint, high bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    wanted bigint := $3;
    low_at bigint;
    high_at bigint;
    last_stored bigint;
    base record;
BEGIN
    SELECT s.frames INTO last_stored FROM rl_orderbook_sessions AS s WHERE s.session_id = $1;
    IF wanted IS NULL THEN
        wanted := least(last_stored, rl_released_from($1, $2) - 1);
    END IF;
    IF last_stored IS NULL OR wanted NOT BETWEEN 0 AND last_stored THEN
        RETURN;
    END IF;
    SELECT span.low, span.high INTO low_at, high_at FROM rl_session_span($1) AS span;

    SELECT n.frame_no, n.source, n.received_at INTO base
      FROM rl_orderbook_snapshots AS n
     WHERE n.session_id = $1 AND n.ticker = $2 AND n.frame_no <= wanted
       AND n.received_at BETWEEN low_at AND high_at
     ORDER BY n.frame_no DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    PERFORM FROM rl_feed_gaps AS g
      WHERE g.session_id = $1 AND g.frame_no > base.frame_no AND g.frame_no <= wanted
        AND g.kind <> 'outage' AND g.channel = 'orderbook_delta' AND $2 = ANY (g.tickers);
    IF FOUND THEN
        RETURN;
    END IF;
    -- A market that is followed again has no book before its next snapshot.
    PERFORM FROM rl_market_listings AS l
      WHERE l.session_id = $1 AND l.ticker = $2 AND l.reason = 'released'
        AND l.frame_no > base.frame_no AND l.frame_no <= wanted;
    IF FOUND OR rl_released_from($1, $2, base.frame_no) IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT base.frame_no, base.source, base.received_at, wanted, low_at, high_at;
END $$;

-- The levels of a market's book after a frame (null: its last one in the session), bids (side 0)
-- before asks (side 1), each from the best one.
CREATE FUNCTION rl_book_at_frame(session_id text, ticker text, frame_no bigint DEFAULT NULL)
RETURNS TABLE (side smallint, price integer, quantity bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    base record;
BEGIN
    SELECT * INTO base FROM rl_book_base($1, $2, $3);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH snapshot AS (
            SELECT n.bid_prices, n.bid_quantities, n.ask_prices, n.ask_quantities
              FROM rl_orderbook_snapshots AS n
             WHERE n.session_id = $1 AND n.ticker = $2 AND n.frame_no = base.base_frame
               AND n.received_at BETWEEN base.low AND base.high
             LIMIT 1
        ), change AS (
            SELECT 0::smallint AS side, l.price, l.quantity
              FROM snapshot AS n, unnest(n.bid_prices, n.bid_quantities) AS l (price, quantity)
            UNION ALL
            SELECT 1::smallint, l.price, l.quantity
              FROM snapshot AS n, unnest(n.ask_prices, n.ask_quantities) AS l (price, quantity)
            UNION ALL
            SELECT d.side, d.price, d.change
              FROM rl_orderbook_deltas AS d
             WHERE d.session_id = $1 AND d.ticker = $2
               AND d.frame_no > base.base_frame AND d.frame_no <= base.last_frame
               AND d.received_at BETWEEN base.low AND base.high
        )
        SELECT c.side, c.price, sum(c.quantity)::bigint
          FROM change AS c
         GROUP BY c.side, c.price
        HAVING sum(c.quantity) <> 0
         ORDER BY c.side, CASE c.side WHEN 0 THEN -c.price ELSE c.price END;
END $$;

-- The last frame of a session, received at an instant or before, that touched a market: a delta, a
-- snapshot, a gap in its book, its release. Null where there was none.
CREATE FUNCTION rl_frame_at(session_id text, ticker text, at bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    low_at bigint;
    high_at bigint;
    known bigint;
BEGIN
    SELECT span.low, least(span.high, $3) INTO low_at, high_at FROM rl_session_span($1) AS span;
    SELECT n.frame_no INTO known
      FROM rl_orderbook_snapshots AS n
     WHERE n.session_id = $1 AND n.ticker = $2 AND n.received_at BETWEEN low_at AND high_at
     ORDER BY n.frame_no DESC LIMIT 1;
    RETURN greatest(
        known,
        (SELECT max(d.frame_no) FROM rl_orderbook_deltas AS d
          WHERE d.session_id = $1 AND d.ticker = $2 AND d.frame_no > coalesce(known, -1)
            AND d.received_at BETWEEN low_at AND high_at),
        (SELECT max(g.frame_no) FROM rl_feed_gaps AS g
          WHERE g.session_id = $1 AND $2 = ANY (g.tickers) AND g.started_at <= $3
            AND g.kind <> 'outage' AND g.channel = 'orderbook_delta'),
        (SELECT max(l.frame_no) FROM rl_market_listings AS l
          WHERE l.session_id = $1 AND l.ticker = $2 AND l.reason = 'released' AND l.at <= $3)
    );
END $$;

-- The session and frame that a market's book at an instant is read from: the newest session that was
-- recording then and had a book to be trusted. An open session reaches to its newest stored frame.
CREATE FUNCTION rl_book_session(ticker text, at bigint, environment text DEFAULT NULL)
RETURNS TABLE (session_id text, frame_no bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    candidate record;
    found_frame bigint;
BEGIN
    FOR candidate IN
        SELECT s.session_id, s.frames, s.ended_at
          FROM rl_orderbook_sessions AS s
         WHERE $1 = ANY (s.markets) AND s.started_at <= $2
           AND (s.ended_at IS NULL OR s.ended_at >= $2)
           AND (s.environment = $3 OR $3 IS NULL)
         ORDER BY s.started_at DESC, s.session_id DESC
    LOOP
        CONTINUE WHEN candidate.ended_at IS NULL
            AND coalesce(rl_frame_time(candidate.session_id, candidate.frames) < $2, true);
        found_frame := rl_frame_at(candidate.session_id, $1, $2);
        CONTINUE WHEN found_frame IS NULL;
        PERFORM FROM rl_book_base(candidate.session_id, $1, found_frame);
        IF FOUND THEN
            RETURN QUERY SELECT candidate.session_id, found_frame;
            RETURN;
        END IF;
    END LOOP;
END $$;

-- The levels of a market's book at an instant, as `rl_book_at_frame` gives them. Where no session
-- knew it, the newest book read over REST in the `rest_within` nanoseconds before (0: none).
CREATE FUNCTION rl_book_at(
    ticker text, at bigint, rest_within bigint DEFAULT 0, environment text DEFAULT NULL
)
RETURNS TABLE (side smallint, price integer, quantity bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    place record;
BEGIN
    SELECT * INTO place FROM rl_book_session($1, $2, $4);
    IF FOUND THEN
        RETURN QUERY SELECT * FROM rl_book_at_frame(place.session_id, $1, place.frame_no);
        RETURN;
    END IF;
    RETURN QUERY
        WITH snapshot AS (
            SELECT n.bid_prices, n.bid_quantities, n.ask_prices, n.ask_quantities
              FROM rl_orderbook_snapshots AS n
             WHERE n.session_id IS NULL AND n.ticker = $1
               AND n.received_at <= $2 AND n.received_at > $2 - $3
             ORDER BY n.received_at DESC LIMIT 1
        )
        SELECT 0::smallint, l.price, l.quantity
          FROM snapshot AS n, unnest(n.bid_prices, n.bid_quantities) AS l (price, quantity)
        UNION ALL
        SELECT 1::smallint, l.price, l.quantity
          FROM snapshot AS n, unnest(n.ask_prices, n.ask_quantities) AS l (price, quantity);
END $$;
