"""The two kinds of run: one for each session, and one for each training."""

import dagster as dg

TRAINING = "training"
SESSION = "session"

session_job = dg.define_asset_job(
    SESSION,
    selection=dg.AssetSelection.assets("orderbook_session", "session_episodes"),
    description="Prove one recorded session and cut it into episodes.",
    tags={"dagster/priority": "1"},  # cheap, and a training may wait for it
)
training_job = dg.define_asset_job(
    TRAINING,
    selection=dg.AssetSelection.assets(
        "training_dataset", "trained_policy", "policy_evaluation", "promoted_policy"
    ),
    description="Learn from the sessions, judge what was learned, promote it or refuse to.",
)
