"""`kalshiflow demo`: the whole loop on this machine, checked, in one command.

The stack runs on ports and in a folder of its own, so that another one may run beside it. Nothing
is left running afterwards, whatever happens: the stack ends with the process that owns it.
"""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from kalshiflow.exchange.capture import CaptureError
from kalshiflow.stack import demo_steps as steps
from kalshiflow.stack.control import remove_state, shut_down
from kalshiflow.stack.demo_capture import CaptureFacts, read_facts
from kalshiflow.stack.demo_checks import Found, Wanted, checks, table
from kalshiflow.stack.demo_look import look_at_everything
from kalshiflow.stack.demo_world import World
from kalshiflow.stack.errors import StackError
from kalshiflow.stack.plan import stack_id
from kalshiflow.stack.ports import free_ports
from kalshiflow.stack.processes import identity, marked
from kalshiflow.stack.services import PORTS, ROOT, Wish
from kalshiflow.stack.up import Stack, stack_settings

STATE = ".kalshiflow-demo"
MARKETS, LEAST_MARKETS = 24, 20
SESSIONS, SESSION_SECONDS = 3, 20
SYNTHETIC_SPEED = 20
LONGEST_LEARNING = 900  # seconds; a machine of two cores takes about one minute
TRADING_SECONDS, LONGEST_TRADING = 30, 90
REPLAY_SPEED = 400.0
LEARNED = 0.7  # the share of a capture's market time that is learned from
REPLAY_SECONDS = 60  # of real time, for the rest
# What is learned from is cut into short sessions; the trader's own tape need not be.
ONE_TAPE = {"trader": {"RL_SESSION_MAX_MINUTES": "1440"}}
TRADED = {**ONE_TAPE, "collector": {"RL_SESSION_TRADED": "yes"}}
_NOT_INHERITED = {
    "ENVIRONMENT",
    "DATABASE_URL",
    "DAGSTER_DATABASE_URL",
    "DAGSTER_HOME",
    "MLFLOW_DATABASE_URL",
    "MLFLOW_TRACKING_URI",
}


@dataclass(frozen=True, slots=True)
class Options:
    """`capture`: play this recording instead of synthetic markets, at `speed`."""

    capture: Path | None = None
    speed: float | None = None


def run_demo(options: Options, console: Console) -> int:
    """Run the demo and print its table; the exit code is 0 only if every check holds."""
    state = (ROOT / STATE).resolve()
    began = time.monotonic()
    shut_down(state)  # a demo that was killed leaves its folder, and for a moment its stack
    remove_state(state)
    state.mkdir(mode=0o700)
    screen = steps.Screen(console)
    try:
        with screen.progress:
            demo = _Demo(options, state, screen)
            found = demo.synthetic() if options.capture is None else demo.replayed(options.capture)
    except (StackError, CaptureError) as failed:
        console.print(f"The demo failed: {failed}", style="red", highlight=False)
        if (state / "logs").is_dir():  # it had begun
            console.print(f"Its logs are in {state / 'logs'}.")
        return 1
    finally:
        shut_down(state)
    found.left_running = [process.name() for process in marked(stack_id(state))]
    rows = checks(found)
    console.print(table(rows))
    bad = ", ".join(row.name for row in rows if row.holds is False)
    console.print(f"Does not hold: {bad}" if bad else "Everything holds.", highlight=False)
    console.print(f"It took {time.monotonic() - began:.0f} s.")
    return 1 if bad else 0


class _Demo:
    def __init__(self, options: Options, state: Path, screen: steps.Screen) -> None:
        self._speed = options.speed
        self._screen = screen
        environ = _environment(state, options)
        settings, where = stack_settings(environ, folder=state)
        _copy_app_settings(state)
        # In the state folder, no .env.local of a person's reaches the programs.
        self._stack = Stack(
            settings, where, environ=environ, folder=state, owner=identity(os.getpid())
        )

    def synthetic(self) -> Found:
        """Record synthetic markets, learn, and let the trader that waits for a policy trade."""
        found = Found(Wanted(SESSIONS, LEAST_MARKETS, fills=1))
        self._up(Wish(env=ONE_TAPE))
        world = self._world()
        with self._screen.line("Recording") as line:
            steps.wait_for_sessions(world, line, SESSIONS, SESSIONS * SESSION_SECONDS * 2 + 60)
            without = Wish(without=["collector"], env=ONE_TAPE)
            self._stack.change(without, lambda _: None)
        self._learn(world, found)
        with self._screen.line("Trading") as line:
            steps.trade_for(world, line, TRADING_SECONDS, LONGEST_TRADING)
        return self._finish(world, found, without)

    def replayed(self, capture: Path) -> Found:
        """Record the whole capture with no trader there, learn, and trade its last part."""
        facts = read_facts(capture)
        found = Found(Wanted(1, len(facts.books), fills=0))
        play = ("--capture", str(capture.resolve()), "--hold")
        speed = ("--speed", str(self._speed or REPLAY_SPEED))
        self._up(Wish(without=["trader"], venue=(*play, *speed)))
        world = self._world()
        with self._screen.line("Recording") as line:
            steps.wait_for_collector(world, len(facts.books))
            world.start_venue()
            longest = facts.seconds(1) / (self._speed or REPLAY_SPEED) * 2 + 120
            steps.wait_for_replay(world, line, longest, facts.span)
            steps.wait_for_quiet(world)
            without = ["trader", "collector"]
            self._stack.change(Wish(without, (*play, *speed)), lambda _: None)
        self._learn(world, found, has_trader=False)
        slow = max(1.0, facts.seconds(1 - LEARNED) / REPLAY_SECONDS)
        rest = (*play, "--from", str(LEARNED), "--speed", str(slow))
        with self._screen.line("Trading") as line:
            self._stack.change(Wish(venue=rest, env=TRADED), lambda _: None)
            steps.wait_for_champion(world, line, _version(found), 60)
            steps.wait_for_collector(world, len(facts.books))
            world.start_venue()
            self._trade_to_the_end(world, line, facts)
        return self._finish(world, found, Wish(["collector"], rest, ONE_TAPE), facts)

    def _trade_to_the_end(self, world: World, line: steps.Line, facts: CaptureFacts) -> None:
        begin = facts.span[0] + int(facts.seconds(LEARNED) * 1e9)
        seconds = facts.seconds(1 - LEARNED)

        def look() -> bool:
            now = world.venue()
            steps.tell_trading(world, line, (now["market_time_ns"] - begin) / 1e9 / seconds)
            return bool(now["state"] == "finished")

        steps.wait_until("the end of the replay", max(REPLAY_SECONDS, seconds) * 2 + 60, look)

    def _up(self, wish: Wish) -> None:
        with self._screen.line("Starting") as line:
            self._stack.up(wish, steps.tell_start(line))

    def _world(self) -> World:
        return World(self._stack.where.state, self._stack.variables)

    def _learn(self, world: World, found: Found, *, has_trader: bool = True) -> None:
        with self._screen.line("Learning") as line:
            found.promotion = steps.wait_for_policy(world, line, LONGEST_LEARNING)
        if has_trader:
            with self._screen.line("Loading the policy") as line:
                steps.wait_for_champion(world, line, _version(found), 60)

    def _finish(
        self, world: World, found: Found, last: Wish, facts: CaptureFacts | None = None
    ) -> Found:
        with self._screen.line("Comparing") as line:
            found.ours, found.theirs = steps.compare_accounts(world, line)
            found.trader = world.trader()
            self._stack.change(last, lambda _: None)  # the last session is closed and certified
            look_at_everything(world, found, facts)
            line.tell(1, 1, "accounts, sessions, journal")
        return found


def _environment(state: Path, options: Options) -> dict[str, str]:
    """Give what the demo's programs inherit: nothing that a person set for the system itself."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("RL_", "KALSHI_")) and name not in _NOT_INHERITED
    }
    ports = zip(PORTS, free_ports(len(PORTS)), strict=True)
    is_synthetic = options.capture is None
    own: Mapping[str, object] = {
        "ENVIRONMENT": "local",
        "RL_STATE_DIR": state,
        "RL_ENV_FILE": state / "env",
        "RL_VENUE_MARKETS": MARKETS,
        "RL_VENUE_SPEED": SYNTHETIC_SPEED,
        "RL_SESSION_MAX_MINUTES": f"{SESSION_SECONDS / 60:.3f}" if is_synthetic else 1440,
        "RL_RETRAIN_SESSIONS": SESSIONS if is_synthetic else 1,
        "RL_RETRAIN_COOLDOWN_MINUTES": 0,
        "RL_TRAIN_WAKE": "yes",  # where nothing pays there is still something to watch
        "RL_POLICY_POLL_SECONDS": 1,
        **{f"RL_{name}_PORT": port for name, port in ports},
    }
    return kept | {name: str(value) for name, value in own.items()}


def _copy_app_settings(state: Path) -> None:
    theme = ROOT / ".streamlit"
    if theme.is_dir():
        shutil.copytree(theme, state / ".streamlit")


def _version(found: Found) -> str:
    assert found.promotion is not None
    return found.promotion.model_version
