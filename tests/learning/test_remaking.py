"""Which events a decision has seen, and how a session is read as its trader lived it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.learning.episodes.segments import Segment, make_events
from kalshiflow.learning.parity.reading import NotRemakeable, Terms, as_lived, terms_of
from kalshiflow.learning.parity.remaking import (
    Remaker,
    account_first,
    changes_by_frame,
    difference,
    events_before,
    from_fresh_book,
)
from kalshiflow.market.events import MarketStatusChanged, Stamp, TimeSource
from kalshiflow.market.flat import ACCOUNT, ACCOUNT_COLUMNS, CLOSES, DELTA, SNAPSHOT, TRADE
from kalshiflow.market.listing import Market, decode_grid
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.store.outline import Outline
from kalshiflow.store.recorded import SessionRow
from kalshiflow.store.replay import Gap
from kalshiflow.store.rows import AccountChange
from kalshiflow.store.trading import Decision

BOOK = [1, 1, 39, 1_000, 59, 500]  # a level each side
ROW = (10_000_000, 0, 0, 0, 0, 0, -1, -1, 1, 0, -1, 0, -1, -1, 0, -1)
MARKET = Market("A", "E", "a market")
TERMS = Terms(Cash(10_000_000), Quantity(100))


def events(*told):
    """Make events of kind and frame; a snapshot's body is BOOK."""
    rows, bodies = [], []
    for kind, _ in told:
        if kind == SNAPSHOT:
            rows.append((SNAPSHOT, 0, len(BOOK), len(bodies)))
            bodies += BOOK
        else:
            rows.append((kind, 0, 0 if kind == ACCOUNT else 39, 0 if kind == ACCOUNT else 100))
    frames = [frame for _, frame in told]
    return make_events(rows, [10**9 * (frame + 1) for frame in frames], frames, bodies)


def kinds(found):
    return list(zip(found.kinds.tolist(), found.frames.tolist(), strict=True))


def decision(number, frame, **more):
    told = {
        "run_id": None, "decision_no": number, "decision_id": None, "ticker": "A",
        "session_id": "s", "frame_no": frame, "market_time": 10**9 * (frame + 1),
        "received_at": 0, "decided_at": 0, "policy_version": "1", "action": 0, "forbidden": False,
        "mask": 1, "observation_hash": bytes(16), "observation": None, "reason": "",
    }  # fmt: skip
    return Decision(**told | more)


def change(frame, number, after):
    return AccountChange(frame, number, after, "A", 0, ROW)


def outline(frames=9, follows=None, gaps=(), accounts=(), life=()):
    session = SessionRow(
        "s", "trader", "local", True, "closed", 0, 1, 1, ("A",), follows, frames, "ok", "", "", None
    )
    return Outline(
        session, ("A",), {"A": MARKET}, [], list(gaps), list(life), frozenset("A"), list(accounts)
    )


def gap(frame, kind="missing", tickers=("A",), channel="trade"):
    return Gap(frame, kind, tickers, "a reason", 0, channel)


@pytest.mark.parametrize(
    ("frame", "number", "seen"),
    [
        pytest.param(3, 1, 3, id="nothing-of-what-it-changed-itself"),
        pytest.param(3, 2, 4, id="what-the-decision-before-it-changed"),
        pytest.param(4, 3, 6, id="all-before-its-frame"),
        pytest.param(9, 4, 6, id="all-there-is"),
    ],
)
def test_a_decision_has_seen_what_was_there_before_it(frame, number, seen):
    tape = events((SNAPSHOT, 1), (ACCOUNT, 1), (DELTA, 3), (ACCOUNT, 3), (ACCOUNT, 3), (DELTA, 4))
    changes = changes_by_frame([change(1, 1, 0), change(3, 2, 1), change(3, 3, 2)])

    assert events_before(tape, changes, decision(number, frame)) == seen


def test_the_account_that_a_segment_begins_with_is_known_before_its_book():
    tape = events((SNAPSHOT, 4), (ACCOUNT, 4), (DELTA, 5))

    assert kinds(account_first(tape)) == [(ACCOUNT, 4), (SNAPSHOT, 4), (DELTA, 5)]
    assert account_first(account_first(tape)).kinds.tolist() == [ACCOUNT, SNAPSHOT, DELTA]


def test_of_a_book_that_was_not_trusted_nothing_is_known_before_the_next():
    tape = events(
        (SNAPSHOT, 0), (ACCOUNT, 0), (DELTA, 1), (CLOSES, 2), (TRADE, 3), (SNAPSHOT, 4), (DELTA, 5)
    )

    assert kinds(from_fresh_book(tape)) == [
        (ACCOUNT, 0), (CLOSES, 2), (SNAPSHOT, 4), (DELTA, 5)
    ]  # fmt: skip
    assert len(from_fresh_book(events((SNAPSHOT, 0), (DELTA, 1)))) == 0


def remade(remaker, told, tape, decisions):
    segments = [Segment("A", "s", MARKET, one) for one in tape]
    return remaker.take(told, segments, np.array([ROW]), decisions)


def test_a_rotation_goes_on_where_the_session_before_ended():
    whole, parts = Remaker(TERMS), Remaker(TERMS)
    first, later = [(SNAPSHOT, 1), (DELTA, 2)], [(DELTA, 3), (DELTA, 4)]
    in_one = remade(whole, outline(), [events(*first, *later)], [decision(1, 4)])
    remade(parts, outline(frames=2), [events(*first)], [])
    seam = events((SNAPSHOT, 0), *later)
    in_two = remade(parts, outline(follows="s"), [seam], [decision(1, 4)])

    assert np.array_equal(in_one.rows[1], in_two.rows[1])


def test_after_a_gap_that_no_book_followed_a_rotation_goes_on_with_nothing():
    remaker = Remaker(TERMS)
    remade(remaker, outline(gaps=[gap(2)]), [events((SNAPSHOT, 1))], [])
    found = remade(
        remaker, outline(follows="s"), [events((SNAPSHOT, 0), (DELTA, 3))], [decision(1, 3)]
    )

    assert found.rows == {}
    assert found.differences == ["decision 1 (A, frame 3): there is no book on the tape"]


def test_changes_of_the_account_that_are_missing_are_told():
    told = outline(accounts=[change(0, 1, 0), change(3, 3, 0)])
    found = remade(Remaker(TERMS), told, [events((SNAPSHOT, 1))], [])

    assert found.differences == ["changes of the account are missing on the tape"]


def test_what_differs_is_named():
    seen = [0.0] * OBSERVATION_SIZE
    was = decision(7, 3, mask=3, observation=tuple(seen))

    assert difference(was, seen, [1, 0, 0, 0, 0]) == (
        "decision 7 (A, frame 3): the mask was 11, is 1"
    )
    assert difference(was, [0.5, *seen[1:]], [1, 1, 0, 0, 0]) == (
        "decision 7 (A, frame 3): mid was 0, is 0.5"
    )
    assert "is another one" in difference(replace(was, observation=None), seen, [1, 1, 0, 0, 0])


def test_the_trader_waits_for_a_fresh_book_after_whatever_was_missed():
    nickels = decode_grid([[0, 10_000, 500]])
    stamp = Stamp(5, 0, 0, TimeSource.EXCHANGE)
    life = [
        MarketStatusChanged("A", "updated", stamp, grid=nickels),
        MarketStatusChanged("A", "updated", stamp._replace(frame_no=6), grid=nickels),
        MarketStatusChanged("Z", "updated", stamp, grid=nickels),
    ]
    lived = as_lived(outline(gaps=[gap(0, "outage"), gap(2)], life=life))

    assert [(one.frame_no, one.hurts_books) for one in lived.gaps] == [(2, True), (5, True)]


def test_simulated_orders_and_unknown_terms_are_refused():
    known = {"RL_ACTOR_MARKET_BUDGET": "10000", "RL_ACTOR_ORDER_CONTRACTS": "1"}
    run = SimpleNamespace(run_id="r", orders_to="exchange", settings=known)
    assert terms_of(run) == Terms(Cash(100_000_000), Quantity(100))

    with pytest.raises(NotRemakeable, match="were simulated"):
        terms_of(SimpleNamespace(run_id="r", orders_to="simulated", settings=known))
    with pytest.raises(NotRemakeable, match="RL_ACTOR_MARKET_BUDGET"):
        terms_of(SimpleNamespace(run_id="r", orders_to="none", settings={}))


def test_a_row_of_the_account_table_has_all_its_columns():
    assert len(ROW) == len(ACCOUNT_COLUMNS)
