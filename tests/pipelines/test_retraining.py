"""When a training is due."""

from kalshiflow.store.read import SessionRow
from kalshiflow.store.training import TrainingRun
from pipelines.retraining import NANOSECONDS_PER_MINUTE, Due, NotDue, Rule, decide

NOW = 1_000 * NANOSECONDS_PER_MINUTE
RULE = Rule(sessions=2, cooldown_minutes=30)


def session(number: int) -> SessionRow:
    return SessionRow(
        session_id=f"s{number}",
        origin="collector",
        environment="local",
        traded=False,
        status="closed",
        started_at=number,
        ended_at=number + 1,
        close_seq=number,
        markets=("A",),
        follows=None,
        frames=10,
        verdict="ok",
        verdict_reason="",
        end_reason="rotation",
        certificate=None,
    )


def training(
    sessions: tuple[str, ...], minutes_ago: float, status: str = "done", training_id: str = "t1"
) -> TrainingRun:
    started_at = int(NOW - minutes_ago * NANOSECONDS_PER_MINUTE)
    return TrainingRun(training_id, "test", "d", sessions, status, started_at)


def test_enough_sessions_and_no_training_before_make_one_due_on_all_of_them():
    decision = decide(RULE, [session(2), session(1)], [], is_training=False, now=NOW)

    assert decision == Due(("s1", "s2"), new=2, key="s2 after nothing")


def test_too_few_new_sessions_do_not():
    decision = decide(RULE, [session(1)], [], is_training=False, now=NOW)

    assert decision == NotDue("1 of 2 new sessions")


def test_sessions_of_the_last_training_are_not_new_but_are_learned_from_again():
    usable = [session(number) for number in (1, 2, 3, 4)]
    trained = [training(("s1", "s2"), minutes_ago=31)]

    decision = decide(RULE, usable, trained, is_training=False, now=NOW)

    assert decision == Due(("s1", "s2", "s3", "s4"), new=2, key="s4 after t1")


def test_the_cooldown_holds_a_training_back():
    usable = [session(number) for number in (1, 2, 3, 4)]
    trained = [training(("s1", "s2"), minutes_ago=29)]

    decision = decide(RULE, usable, trained, is_training=False, now=NOW)

    assert decision == NotDue("29.0 of 30 minutes since the last training")


def test_a_training_that_runs_holds_the_next_one_back():
    decision = decide(RULE, [session(1), session(2)], [], is_training=True, now=NOW)

    assert decision == NotDue("a training is queued or running")


def test_a_failed_training_taught_nothing_and_is_tried_again_after_the_cooldown():
    usable = [session(1), session(2)]
    early = decide(RULE, usable, [training(("s1", "s2"), 5, "failed")], is_training=False, now=NOW)
    late = decide(RULE, usable, [training(("s1", "s2"), 31, "failed")], is_training=False, now=NOW)

    assert isinstance(early, NotDue)
    assert late == Due(("s1", "s2"), new=2, key="s2 after t1")


def test_the_same_occasion_has_the_same_key_and_the_next_one_another():
    usable = [session(1), session(2)]
    first = decide(RULE, usable, [], is_training=False, now=NOW)
    again = decide(RULE, usable, [], is_training=False, now=NOW + 1)
    later = decide(RULE, usable, [training((), 31, "failed", "t9")], is_training=False, now=NOW)

    assert isinstance(first, Due)
    assert isinstance(later, Due)
    assert first == again
    assert first.key != later.key
