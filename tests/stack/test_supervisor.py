"""A supervisor as commands meet it: a process of its own, with small services."""

import os
import signal
import socket
import sys
import time
from dataclasses import replace

import psutil
import pytest

from kalshiflow.stack.control import StackFailed, change, launch, running, shut_down, wait_until_up
from kalshiflow.stack.errors import PortTaken
from kalshiflow.stack.plan import Plan, Service, load_status
from kalshiflow.stack.ports import Port
from kalshiflow.stack.processes import Identity, identity, marked

pytestmark = pytest.mark.integration

SLEEP = "import time; print('ready'); time.sleep(60)"


def service(name: str, script: str = SLEEP, **wanted) -> Service:
    return Service(name, (sys.executable, "-c", script), **{"health": "log:ready", **wanted})


@pytest.fixture
def plan_of(tmp_path):
    state = tmp_path / "state"
    state.mkdir()

    def make(*services: Service, **wanted) -> Plan:
        return Plan(state, tmp_path, {}, services, has_postgres=False, **wanted)

    yield make
    shut_down(state)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def bring_up(plan: Plan):
    launch(plan)
    return wait_until_up(plan.state, lambda _: None)


def test_a_stack_comes_up_in_order_and_nothing_is_left_after_it_ends(plan_of):
    venue = service(
        "venue",
        "import time; print('{\"rest\": \"http://here\"}'); print('ready'); time.sleep(60)",
        exports={"rest": "KALSHI_API_URL"},
    )
    trader = service(
        "trader",
        "import os, time; print('ready', os.environ['KALSHI_API_URL']); time.sleep(60)",
        depends_on=("venue",),
    )
    plan = plan_of(trader, venue)

    status = bring_up(plan)

    assert status.announced == {"KALSHI_API_URL": "http://here"}
    assert (plan.state / "logs" / "trader.log").read_text() == "ready http://here\n"
    assert shut_down(plan.state) is True
    assert marked(plan.stack) == []
    assert running(plan.state) is None
    assert shut_down(plan.state) is False


def test_a_killed_service_comes_back(plan_of):
    plan = plan_of(service("one"))
    first = bring_up(plan).services["one"].process

    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: load_status(plan.state).services["one"].restarts == 1)
    again = wait_until_up(plan.state, lambda _: None).services["one"].process

    assert again != first
    assert again.process() is not None


def test_another_plan_ends_what_it_has_not_and_leaves_alone_what_is_the_same(plan_of):
    same, gone, other = service("same"), service("gone"), service("other")
    before = bring_up(plan_of(same, gone, other)).services

    after = change(plan_of(same, replace(other, env={"X": "1"}), service("new")), lambda _: None)

    assert set(after.services) == {"same", "other", "new"}
    assert after.services["same"].process == before["same"].process
    assert after.services["other"].process != before["other"].process
    assert before["gone"].process.process() is None


def test_orphans_of_a_killed_supervisor_are_ended(plan_of):
    plan = plan_of(service("one"), service("two"))
    status = bring_up(plan)
    os.kill(status.supervisor.pid, signal.SIGKILL)
    wait_for(lambda: running(plan.state) is None)
    assert len(marked(plan.stack)) == 2

    assert shut_down(plan.state) is True

    assert marked(plan.stack) == []


def test_the_stack_ends_with_its_owner(plan_of):
    owner = psutil.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    plan = plan_of(service("one"), owner=identity(owner.pid))
    bring_up(plan)

    owner.kill()
    owner.wait()

    wait_for(lambda: running(plan.state) is None and not marked(plan.stack))


def test_a_reused_pid_is_somebody_else():
    me = identity(os.getpid())

    assert me.process() is not None
    assert Identity(me.pid, me.create_time - 10).process() is None


def test_a_service_that_does_not_come_up_is_named_with_its_last_words(plan_of):
    plan = plan_of(service("one", "import sys; sys.exit('RL_X is no variable of ours')"))
    launch(plan)

    with pytest.raises(StackFailed, match="one does not start; .*RL_X is no variable of ours"):
        wait_until_up(plan.state, lambda _: None)


def test_a_taken_port_is_named_with_its_holder_and_the_way_out(plan_of):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        plan = plan_of(service("app", ports=(Port(port, "the app", "RL_APP_PORT"),)))

        with pytest.raises(PortTaken) as refused:
            launch(plan)

    assert str(refused.value) == (
        f"port {port}, which the app needs, is taken by {psutil.Process().name()} "
        f"(pid {os.getpid()}); stop that, or set RL_APP_PORT to another port"
    )
    assert running(plan.state) is None


def test_one_port_for_two_services_is_refused(plan_of, free_port):
    plan = plan_of(
        service("app", ports=(Port(free_port, "the app", "RL_APP_PORT"),)),
        service("trader", ports=(Port(free_port, "the trader", "RL_TRADER_PORT"),)),
    )

    with pytest.raises(PortTaken, match="set RL_APP_PORT or RL_TRADER_PORT to another port"):
        launch(plan)


def test_the_files_of_a_stack_are_its_owners_only(plan_of):
    plan = plan_of(service("one"))
    bring_up(plan)

    modes = {path.name: path.stat().st_mode & 0o777 for path in plan.state.glob("*.json")}

    assert modes == {"plan.json": 0o600, "status.json": 0o600}
