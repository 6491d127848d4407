"""The long form of the promise: the demo holds every time, after a kill, and on real recordings."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "kalshiflow.stack.cli", "demo")
LONGEST = 600

pytestmark = pytest.mark.soak


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a whole demo and show what it printed."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=LONGEST
    )
    sys.stdout.write(done.stdout)
    return done


def test_the_demo_holds_the_second_time_as_the_first() -> None:
    for _ in range(2):
        done = demo()

        assert done.returncode == 0, done.stdout + done.stderr


def test_the_demo_holds_after_one_that_was_killed_halfway() -> None:
    killed = subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.DEVNULL)
    time.sleep(60)  # halfway has no event: what matters is that it is in the middle of its work
    assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    done = demo()

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("capture", "deltas"),
    [
        ("kalshi-demo-ws-2026-07/session.jsonl", "2,885"),
        ("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl", "35,898"),
    ],
)
def test_the_loop_closes_on_a_real_recording(recorded_data: Path, capture, deltas) -> None:
    done = demo("--capture", str(recorded_data / capture), "--speed", "400")

    assert done.returncode == 0, done.stdout + done.stderr
    assert deltas in done.stdout
