"""Everything that Dagster runs for us; the module that workspace.yaml names."""

import dagster as dg

from pipelines.defs import (
    checks,
    datasets,
    evaluation,
    jobs,
    promotion,
    sensors,
    sessions,
    training,
)
from pipelines.defs.resources import resources

defs = dg.Definitions(
    assets=[
        sessions.orderbook_session,
        sessions.session_episodes,
        datasets.training_dataset,
        training.trained_policy,
        evaluation.policy_evaluation,
        promotion.promoted_policy,
    ],
    asset_checks=[
        checks.orderbook_session_checks,
        checks.session_episodes_replay_equal,
        datasets.training_dataset_features_are_sound,
    ],
    jobs=[jobs.session_job, jobs.training_job],
    sensors=[
        sensors.session_sensor,
        sensors.retrain_sensor,
        sensors.training_failure_sensor,
    ],
    resources=resources(),
    # A run is a process of its own already; a process for each step would start an interpreter.
    executor=dg.in_process_executor,
)
