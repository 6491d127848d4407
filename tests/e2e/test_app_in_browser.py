"""A person opens the app in a real browser, beside a real venue, collector and trader."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 40
LOOK_MS = 20_000

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give headless Chromium as Debian packages it; BROWSER_REQUIRED=yes turns the skip into a failure."""
    path = shutil.which("chromium")
    if path is None:
        reason = "there is no chromium on this machine; install the package `chromium`"
        if os.environ.get("BROWSER_REQUIRED") == "yes":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [held.getsockname()[1] for held in sockets]


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a program answers; a program that ended instead fails the test at once."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the program behind {url} ended with {process.returncode}"
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)  # another process's start has no event to wait for but its first answer
    pytest.fail(f"{url} did not answer within {START_SECONDS} s")


@pytest.fixture
def launch(postgres_url: str, venue_log: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Give a function that starts a program; all are ended after the test, before the database
    goes and the venue's log is judged.
    """
    assert postgres_url
    assert venue_log
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, env: dict[str, str], **options: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=env, **options)
        started.append(process)
        return process

    yield start
    for process in reversed(started):  # one by one: the trader squares with the venue as it stops
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def app_url(
    launch: Callable[..., subprocess.Popen[bytes]],
    postgres_url: str,
    venue_log: Path,
    tmp_path: Path,
) -> str:
    """Start a venue, a collector, a trader without a policy, and the app; give the app's address."""
    collector, trader, app, mlflow = free_ports(4)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RL_", "KALSHI_"))}
    venue = launch(
        *("kalshiflow.venue", "--port", "0", "--markets", "4", "--speed", "5"),
        *("--key-dir", str(tmp_path), "--log", str(venue_log)),
        env=clean,
        stdout=subprocess.PIPE,
    )
    assert venue.stdout is not None
    serving = json.loads(venue.stdout.readline())
    env = clean | {
        "RL_ENV_FILE": str(tmp_path / "none.env"),
        "RL_STATE_DIR": str(tmp_path / "state"),
        "DATABASE_URL": postgres_url,
        "KALSHI_API_URL": serving["rest"],
        "KALSHI_WS_URL": serving["ws"],
        "KALSHI_API_KEY_ID": serving["key_id"],
        "KALSHI_PRIVATE_KEY_PATH": serving["private_key_path"],
        "RL_COLLECTOR_PORT": str(collector),
        "RL_TRADER_PORT": str(trader),
        "RL_APP_PORT": str(app),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow}",
    }
    programs = {
        f"http://127.0.0.1:{collector}/rl/health": launch("streaming", env=env),
        f"http://127.0.0.1:{trader}/v3/health": launch("trader", env=env),
        f"http://127.0.0.1:{app}/_stcore/health": launch(
            *("streamlit", "run", "app_streamlit/app.py", "--server.port", str(app)), env=env
        ),
    }
    for url, process in programs.items():
        wait_for(url, process)
    return f"http://127.0.0.1:{app}"


def metric(page: Page, label: str):
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")


def test_a_person_watches_the_recording_and_pauses_the_trader(browser: Browser, app_url) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(app_url)

    expect(metric(page, "State")).to_have_text("recording", timeout=LOOK_MS)
    expect(metric(page, "Markets")).to_have_text("4", timeout=LOOK_MS)
    written = metric(page, "Rows written").inner_text(timeout=LOOK_MS)
    expect(metric(page, "Rows written")).not_to_have_text(written, timeout=LOOK_MS)
    expect(page.get_by_test_id("stVegaLiteChart").nth(1)).to_be_visible(timeout=LOOK_MS)

    page.get_by_role("link", name="Policies").click()
    expect(page.get_by_text("No champion: the trader holds")).to_be_visible(timeout=LOOK_MS)

    page.get_by_role("link", name="Trader").click()
    expect(metric(page, "State")).to_have_text("ready", timeout=LOOK_MS)
    expect(metric(page, "Cash")).to_have_text(re.compile(r"^\$10,000\.00$"), timeout=LOOK_MS)
    page.get_by_role("button", name="Pause").click()
    expect(metric(page, "State")).to_have_text("paused", timeout=LOOK_MS)
    page.get_by_role("button", name="Resume").click()
    expect(metric(page, "State")).to_have_text("ready", timeout=LOOK_MS)

    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.close()
