"""The tables as a person reads them on a terminal of 80 columns."""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kalshiflow.settings import VARIABLES
from kalshiflow.stack.plan import Phase, Plan, Service, ServiceStatus, StackStatus
from kalshiflow.stack.processes import identity
from kalshiflow.stack.screen import settings_table, stack_table

VENUE = "http://127.0.0.1:8090/trade-api/v2"


def shown(table: Table) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def stack_of(**of_venue) -> str:
    me = identity(os.getpid())
    services = (
        Service("venue", (), "tcp://127.0.0.1:1", url=VENUE),
        Service("dagster-daemon", (), "log:ready"),
    )
    plan = Plan(Path("/nowhere"), Path("/nowhere"), {}, services, has_postgres=False)
    healthy = ServiceStatus(Phase.HEALTHY, me)
    venue = ServiceStatus(Phase.HEALTHY, me, **of_venue)
    return shown(stack_table(plan, StackStatus(me, {"venue": venue, "dagster-daemon": healthy})))


def test_an_address_is_never_cut_and_each_service_takes_one_line():
    lines = stack_of().splitlines()

    assert [line.split()[0] for line in lines[2:]] == ["venue", "dagster-daemon"]
    assert f"healthy {VENUE} " in lines[2]
    assert str(os.getpid()) in lines[2]


def test_restarts_are_told_where_there_were_any():
    assert "restart" not in stack_of()
    assert "restarts: 2" in stack_of(restarts=2)


def test_no_variable_and_no_default_is_cut():
    text = shown(settings_table())

    assert "…" not in text
    for one in VARIABLES:
        assert f"{one.name} " in text
        assert (one.default or "") in text
