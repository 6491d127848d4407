"""The life of one service, moved by hand: no clock, no supervisor."""

import sys
import time
from pathlib import Path

import pytest

from kalshiflow.stack.children import GIVE_UP_AFTER, Child, restart_delay, rotate
from kalshiflow.stack.plan import Phase, Plan, Service
from kalshiflow.stack.processes import marked
from kalshiflow.stack.supervisor import stop_levels


def child_of(state: Path, script: str, **wanted) -> Child:
    (state / "logs").mkdir(exist_ok=True)
    service = Service("one", (sys.executable, "-c", script), **{"health": "log:ready", **wanted})
    return Child(Plan(state, state, {}, (service,), has_postgres=False), service)


def drive(child: Child, until: Phase, now: float = 0.0, step: float = 0.0) -> float:
    deadline = time.monotonic() + 20
    while child.status.phase != until:
        assert time.monotonic() < deadline, child.status
        child.step(now, may_start=True, env={})
        now += step
        time.sleep(0.01)
    return now


@pytest.fixture
def stop():
    started: list[Child] = []
    yield started.append
    for child in started:
        child.ask_to_stop()
        child.stop(2)


def test_a_service_waits_until_what_it_needs_is_up(tmp_path):
    child = child_of(tmp_path, "print('ready')")

    child.step(0, may_start=False, env={})

    assert child.status.phase == Phase.WAITING


def test_a_service_is_healthy_when_it_has_said_so(tmp_path, stop):
    child = child_of(tmp_path, "import time; print('ready'); time.sleep(60)")
    stop(child)

    drive(child, Phase.HEALTHY)

    assert child.status.process.process() is not None


def test_a_service_that_dies_is_restarted_after_a_pause(tmp_path, stop):
    child = child_of(tmp_path, "import time; print('ready'); time.sleep(60)")
    stop(child)
    drive(child, Phase.HEALTHY)
    first = child.status.process
    first.process().kill()
    drive(child, Phase.RESTARTING, now=100)

    child.step(100 + restart_delay(1) - 0.1, may_start=True, env={})
    assert child.status.phase == Phase.RESTARTING
    drive(child, Phase.HEALTHY, now=101)

    assert child.status.process != first
    assert child.status.restarts == 1
    assert "signal 9" in child.status.detail


def test_the_pause_doubles_up_to_half_a_minute():
    assert [restart_delay(n) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert restart_delay(50) == 30


def test_a_service_that_never_comes_up_is_given_up_with_its_last_words(tmp_path):
    child = child_of(tmp_path, "import sys; sys.exit('DATABASE_URL is not set')")

    drive(child, Phase.FAILED, step=1)

    assert child.status.restarts == GIVE_UP_AFTER
    assert child.status.detail == "exited with 1: DATABASE_URL is not set"


def test_a_service_that_stays_silent_is_ended_and_tried_again(tmp_path):
    child = child_of(tmp_path, "import time; time.sleep(60)", start_seconds=5)

    drive(child, Phase.RESTARTING, step=1)

    assert "no sign of health in 5 s" in child.status.detail
    assert marked(child._plan.stack) == []


def test_a_program_that_works_once_is_done_when_it_exits_well(tmp_path):
    child = child_of(tmp_path, "print('schema 7')", health="exit")

    drive(child, Phase.DONE)

    assert child.status.process is None


def test_what_a_service_prints_as_json_becomes_variables(tmp_path, stop):
    script = 'import time; print("x"); print(\'{"rest": "http://a", "n": 1}\'); time.sleep(60)'
    child = child_of(tmp_path, script, health="log:x", exports={"rest": "KALSHI_API_URL"})
    stop(child)

    drive(child, Phase.HEALTHY)

    assert child.announced == {"KALSHI_API_URL": "http://a"}


def test_a_command_that_does_not_exist_is_a_failure_and_no_crash(tmp_path):
    (tmp_path / "logs").mkdir()
    service = Service("one", ("/no/such/program",), health="exit")
    child = Child(Plan(tmp_path, tmp_path, {}, (service,), has_postgres=False), service)

    child.step(0, may_start=True, env={})

    assert child.status.phase == Phase.RESTARTING
    assert "cannot be started" in child.status.detail


def test_stopping_ends_what_the_service_started_in_sessions_of_their_own(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        "print('ready'); time.sleep(60)"
    )
    child = child_of(tmp_path, script)
    drive(child, Phase.HEALTHY)
    assert len(marked(child._plan.stack)) == 2

    child.ask_to_stop()
    child.stop(5)

    assert marked(child._plan.stack) == []


def test_services_stop_before_what_they_need():
    services = [
        Service("venue", (), ""),
        Service("collector", (), "", depends_on=("venue",)),
        Service("app", (), ""),
    ]

    assert stop_levels(services) == [["app", "collector"], ["venue"]]


def test_services_that_need_each_other_are_refused():
    services = [Service("a", (), "", depends_on=("b",)), Service("b", (), "", depends_on=("a",))]

    with pytest.raises(ValueError, match="in a circle: a, b"):
        stop_levels(services)


def test_a_rotated_log_goes_on_under_its_name(tmp_path):
    log = tmp_path / "one.log"
    with log.open("ab") as writer:
        writer.write(b"old" * 100)
        writer.flush()

        rotate(log, limit=100)
        writer.write(b"new")
        writer.flush()

    assert log.read_bytes() == b"new"
    assert (tmp_path / "one.log.1").read_bytes() == b"old" * 100
