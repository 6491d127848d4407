"""How often a snapshot of a stale market is asked for."""

from hypothesis import given
from hypothesis import strategies as st

from streaming.commands import Purpose, Sent
from streaming.mending import FIRST_PAUSE, LONGEST_PAUSE, SECOND, Mending, SnapshotRequests


def test_a_stale_market_is_asked_for_at_once():
    assert SnapshotRequests().due({"B", "A"}, 0) == ["A", "B"]


def test_while_it_stays_stale_the_pauses_double():
    requests = SnapshotRequests()
    asked = [now for now in range(0, 100 * SECOND, SECOND) if requests.due({"A"}, now)]

    assert [moment // SECOND for moment in asked] == [0, 10, 30, 70]


def test_a_market_that_becomes_stale_again_within_its_pause_waits():
    requests = SnapshotRequests()
    requests.due({"A"}, 0)
    requests.due(set(), SECOND)

    assert requests.due({"A"}, 2 * SECOND) == []
    assert requests.due({"A"}, FIRST_PAUSE) == ["A"]


def test_a_market_that_was_well_for_a_while_begins_anew():
    requests = SnapshotRequests()
    requests.due({"A"}, 0)
    requests.due(set(), FIRST_PAUSE)

    assert requests.due({"A"}, FIRST_PAUSE) == ["A"]
    assert requests.due({"A"}, 2 * FIRST_PAUSE) == ["A"]


@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=60))
def test_never_twice_within_ten_seconds_and_never_forgotten_for_long(steps):
    requests, now, asked, stale_since = SnapshotRequests(), 0, None, None
    for seconds, is_stale in steps:
        now += seconds * SECOND
        due = requests.due({"A"} if is_stale else (), now)
        stale_since = (stale_since if stale_since is not None else now) if is_stale else None
        if due:
            assert is_stale
            assert asked is None or now - asked >= FIRST_PAUSE
            asked = now
        elif stale_since is not None:
            assert asked is not None
            assert now - asked < LONGEST_PAUSE


class Asked:
    """Takes commands, and sends nothing."""

    can_change = True

    def __init__(self):
        self.snapshots = []
        self.renewed = []

    async def get_snapshots(self, tickers):
        self.snapshots.append(list(tickers))

    async def renew(self, tickers):
        self.renewed.append(sorted(tickers))


async def test_gaps_that_are_far_apart_are_each_mended_at_once():
    asked = Asked()
    mending = Mending(asked)
    for now in range(0, 600 * SECOND, SECOND):
        is_stale = now % (30 * SECOND) == 0
        await mending.look(["A"] if is_stale else [], {"A"}, now)
        mending.renewed("A")

    assert asked.snapshots == [["A"]] * 20


async def test_a_market_that_was_released_is_neither_asked_for_nor_subscribed_to_again():
    asked = Asked()
    mending = Mending(asked)
    mending.doubt("A")
    mending.refused(Sent(Purpose.SNAPSHOT, "orderbook_delta", ("A", "B")), "no")
    await mending.look([], {"B"}, 0)
    await mending.look([], {"A", "B"}, SECOND)

    assert (asked.snapshots, asked.renewed) == ([], [["B"]])
