"""The table of states: what may follow what, and for how long."""

import pytest

from trader.lifecycle import RULES, IllegalTransition, Lifecycle, State, StateOverdue

SECOND = 1_000_000_000


def test_the_way_to_trading_is_the_one_of_the_table():
    lifecycle = Lifecycle(0)
    for state in (
        State.INITIALIZING,
        State.ORDERBOOK_CONNECT,
        State.TRADING_CLIENT_CONNECT,
        State.CALIBRATING,
        State.READY,
        State.ACTING,
        State.READY,
    ):
        lifecycle.move(state, "on", 1)

    assert lifecycle.state is State.READY


def test_nothing_leads_to_acting_but_ready():
    assert [state for state in State if State.ACTING in RULES[state].moves] == [State.READY]


def test_every_way_back_to_ready_squares_the_account_first():
    before_ready = {state for state in State if State.READY in RULES[state].moves}

    assert before_ready == {State.CALIBRATING, State.ACTING}


@pytest.mark.parametrize("state", [state for state in State if state is not State.SHUTDOWN])
def test_a_stop_is_possible_in_every_state(state):
    assert State.SHUTDOWN in RULES[state].moves


def test_a_move_that_the_table_does_not_have_raises_and_changes_nothing():
    lifecycle = Lifecycle(0)

    with pytest.raises(IllegalTransition, match="cannot go from startup to acting"):
        lifecycle.move(State.ACTING, "too soon", 1)

    assert lifecycle.state is State.STARTUP


def test_a_state_that_outlasts_its_limit_is_told():
    lifecycle = Lifecycle(0)
    lifecycle.check_time(30 * SECOND)

    with pytest.raises(StateOverdue, match="startup for 31 s, over 30 s"):
        lifecycle.check_time(31 * SECOND)


def test_waiting_for_a_policy_has_no_limit():
    assert RULES[State.READY].limit is None


def test_a_transition_carries_what_was_true_when_it_was_made():
    lifecycle = Lifecycle(0)

    transition = lifecycle.move(State.INITIALIZING, "choosing markets", 5, fills=3)

    assert transition.from_state is State.STARTUP
    assert (transition.context, transition.at, transition.metrics) == (
        "choosing markets",
        5,
        {"fills": 3},
    )


def test_the_last_twenty_transitions_are_kept():
    lifecycle = Lifecycle(0)
    lifecycle.move(State.INITIALIZING, "", 0)
    lifecycle.move(State.ORDERBOOK_CONNECT, "", 0)
    lifecycle.move(State.TRADING_CLIENT_CONNECT, "", 0)
    for number in range(30):
        lifecycle.move(State.CALIBRATING if number % 2 == 0 else State.RECOVERING, str(number), 0)

    assert [transition.context for transition in lifecycle.history] == [
        str(number) for number in range(10, 30)
    ]
