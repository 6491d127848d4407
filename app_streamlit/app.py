"""What `streamlit run app_streamlit/app.py` serves: the pages, behind a check for a second copy."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import streamlit as st
from streamlit import config

from kalshiflow.running import already_running
from kalshiflow.settings import SettingsError, load
from kalshiflow.store.database import Store, run
from kalshiflow.store.errors import StoreError


async def _nothing(_: Store) -> None:
    """Opening the store is the check."""


def _prepare() -> None:
    try:
        settings = load("app")
        url = settings.require("DATABASE_URL")
        if os.environ.get("RL_STACK_CHILD"):
            return  # the supervisor starts each program once, on its port, after the database
        running = already_running("app", settings.rl_app_port, "/_stcore/health")
        if running:
            sys.exit(running)
        with ThreadPoolExecutor(1) as elsewhere:  # Streamlit's event loop runs in this thread
            elsewhere.submit(run, url, _nothing).result()
    except (SettingsError, StoreError) as wrong:
        sys.exit(str(wrong))
    port = config.get_option("server.port")  # which Streamlit has taken already
    if port != settings.rl_app_port and not config.is_manually_set("server.port"):
        sys.exit(
            f"Streamlit took port {port}, not {settings.rl_app_port} as RL_APP_PORT says; "
            f"add `--server.port {settings.rl_app_port}`"
        )
    print(f"The app is at http://127.0.0.1:{port}")  # noqa: T201


_prepare()
app = st.App(Path(__file__).with_name("main.py"))
