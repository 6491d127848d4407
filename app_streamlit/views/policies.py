"""The policies' page: what was learned, how it did against doing nothing, and what acts now."""

from typing import Any

import streamlit as st

from app_streamlit import charts, resources
from app_streamlit.formats import clock, short
from app_streamlit.registry import PolicyVersion, RegistryUnavailable, policy_versions
from kalshiflow.store.errors import StoreError
from kalshiflow.store.training import Promotion, promotions


def page() -> None:
    """Draw the page."""
    st.title("Policies")
    _policies()


@st.fragment(run_every="5s")
def _policies() -> None:
    try:
        versions = policy_versions(resources.settings().mlflow_tracking_uri)
    except RegistryUnavailable as failed:
        st.warning(str(failed), icon=":material/link_off:")
        versions = []
    _champion(versions)
    _promotions()
    st.subheader("Registered versions")
    if versions:
        st.dataframe([_version(version) for version in versions], hide_index=True)
    else:
        st.info("No policy is registered yet; the pipelines register one after a training.")


def _champion(versions: list[PolicyVersion]) -> None:
    champion = next((v for v in versions if "champion" in v.aliases), None)
    if champion is None:
        st.info(
            "No champion: the trader holds until a policy is promoted.", icon=":material/pause:"
        )
        return
    cells = st.columns(4)
    cells[0].metric("Champion", f"version {champion.version}")
    cells[1].metric("Fingerprint", short(champion.tags.get("fingerprint")))
    cells[2].metric("Dataset", short(champion.tags.get("dataset_hash")))
    cells[3].metric("Registered (UTC)", champion.created_at.strftime("%m-%d %H:%M:%S"))


def _promotions() -> None:
    st.subheader("Verdicts")
    try:
        rows = resources.database().ask(promotions)
    except (StoreError, TimeoutError) as failed:
        st.warning(f"The database does not answer: {failed}", icon=":material/database:")
        return
    if not rows:
        st.info("No verdict yet.")
        return
    _verdict(rows[0])
    st.dataframe([_promotion(row) for row in rows], hide_index=True)


def _verdict(row: Promotion) -> None:
    table = row.verdict.get("table") or []
    if table:
        st.caption(f"Latest verdict, version {row.model_version}: {row.why}")
        st.altair_chart(
            charts.intervals(
                [
                    {
                        "name": entry["name"],
                        "value": entry["pnl_dollars"],
                        # too few markets give no interval
                        "low": _or(entry["low_dollars"], entry["pnl_dollars"]),
                        "high": _or(entry["high_dollars"], entry["pnl_dollars"]),
                    }
                    for entry in table
                ],
                "profit per market on later data, dollars",
            )
        )


def _or(value: float | None, instead: float) -> float:
    return instead if value is None else value


def _promotion(row: Promotion) -> dict[str, Any]:
    return {
        "at (UTC)": clock(row.created_at),
        "version": row.model_version,
        "kind": row.kind,
        "moves": row.alias or "nothing",
        "why": row.why,
        "by": row.who,
    }


def _version(version: PolicyVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "registered (UTC)": version.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        "fingerprint": short(version.tags.get("fingerprint")),
        "sha256": short(version.tags.get("sha256")),
        "dataset": short(version.tags.get("dataset_hash")),
        "run": short(version.run_id),
    }
