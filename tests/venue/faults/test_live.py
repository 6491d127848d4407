"""When a fault strikes: by its counts, its dice and its time, the same each time."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.venue.faults.language import WrongFault, read_fault
from kalshiflow.venue.faults.live import Faults, LiveFault, Phase

SECOND = 1_000_000_000


def live(text: str, seed: int = 7) -> LiveFault:
    return LiveFault(read_fault(text), 1, 0, seed)


def struck(fault: LiveFault, of: int, line: int = 0) -> list[int]:
    return [number for number in range(1, of + 1) if fault.meets(line)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop", list(range(1, 11))),
        ("drop every=3", [3, 6, 9]),
        ("drop after=8", [9, 10]),
        ("drop after=2 every=3", [5, 8]),
        ("drop after=2 every=3 count=1", [5]),
        ("drop count=2", [1, 2]),
        ("drop after=10", []),
    ],
)
def test_counts_say_which_of_ten_are_struck(text: str, expected: list[int]) -> None:
    assert struck(live(text), 10) == expected


def test_each_line_is_counted_apart_but_the_strikes_together() -> None:
    fault = live("drop every=2 count=3")

    assert struck(fault, 4, line=1) == [2, 4]
    assert struck(fault, 4, line=2) == [2]


@given(st.integers(0, 1000), st.lists(st.integers(1, 3), max_size=200))
def test_what_strikes_a_line_follows_from_the_seed_and_that_line_alone(
    seed: int, order: list[int]
) -> None:
    alone, mixed = live("drop rate=0.3", seed), live("drop rate=0.3", seed)
    by_line: dict[int, list[bool]] = {1: [], 2: [], 3: []}
    for line in order:
        by_line[line].append(mixed.meets(line))

    for line, seen in by_line.items():
        assert [alone.meets(line) for _ in seen] == seen


def test_a_rate_is_about_that_share() -> None:
    assert 250 < len(struck(live("drop rate=0.3"), 1000)) < 350


@pytest.mark.parametrize(
    ("text", "phases"),
    [
        ("429", "on on on on"),
        ("429 at=1s", "waiting on on on"),
        ("429 at=1s for=1s", "waiting on over over"),
        ("429 for=2s", "on on over over"),
    ],
)
def test_time_says_whether_it_is_on(text: str, phases: str) -> None:
    fault = live(text)

    assert [fault.phase(second * SECOND) for second in range(4)] == phases.split()


def test_a_fault_that_has_struck_as_often_as_asked_is_over() -> None:
    fault = live("429 count=1")
    assert fault.phase(0) is Phase.ON

    assert fault.meets()
    assert fault.phase(0) is Phase.OVER


@pytest.fixture
def faults() -> Callable[[int], Faults]:
    def at(now: int) -> Faults:
        return Faults(7, lambda: now, {"key-2": "trader-2"}.get)  # type: ignore[arg-type]

    return at


def test_times_count_from_when_it_was_given() -> None:
    now = [100 * SECOND]
    faults = Faults(7, lambda: now[0], lambda _: "")
    fault = faults.add(read_fault("clock-skew ms=250 at=1s for=2s"))

    skews = []
    for _ in range(4):
        skews.append(faults.skew_ms())
        now[0] += SECOND
    assert skews == [0, 250, 250, 0]
    assert faults.phase(fault) is Phase.OVER


def test_an_account_is_meant_by_its_name_or_its_key(faults: Callable[[int], Faults]) -> None:
    for text in ("429 account=trader-2", "429 account=key-2", "429"):
        assert faults(0).concerns(read_fault(text), "key-2")
    assert not faults(0).concerns(read_fault("429 account=trader-2"), "key-1")


def test_an_ended_fault_is_gone_and_one_that_never_was_is_named(
    faults: Callable[[int], Faults],
) -> None:
    all_faults = faults(0)
    first = all_faults.add(read_fault("429"))
    all_faults.add(read_fault("drop"))

    assert all_faults.end(first.number) is first
    with pytest.raises(WrongFault, match="there is no fault 1"):
        all_faults.end(first.number)
    all_faults.end_all()
    assert list(all_faults) == []
