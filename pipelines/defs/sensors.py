"""What starts runs: a session was closed; enough new sessions stand; a training failed."""

from collections.abc import Sequence
from functools import partial

import dagster as dg

from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.read import SessionRow, list_sessions
from kalshiflow.store.training import TrainingRun, training_runs, update_training
from pipelines.defs.jobs import TRAINING, session_job, training_job
from pipelines.defs.partitions import sessions
from pipelines.recordings import TRAINABLE, refusal_in
from pipelines.resources import Database, DataFolder, Variables
from pipelines.retraining import Due, Rule, decide

# The daemon looks every five seconds; asking for five would make it every tenth now and then.
SECONDS_BETWEEN_LOOKS = 4
SESSIONS_AT_ONCE = 50
MOST_SESSIONS = 1000
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=session_job,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition of each closed session, in the order of closing, and runs it.",
)
def session_sensor(
    context: dg.SensorEvaluationContext, database: Database
) -> dg.SensorResult | dg.SkipReason:
    """Register what was closed since the cursor; bad sessions too: their run says what is wrong."""
    after = int(context.cursor or 0)
    closed = database.run(
        lambda store: list_sessions(store, after_close_seq=after, limit=SESSIONS_AT_ONCE)
    )
    if not closed:
        return dg.SkipReason(f"no session was closed after number {after}")
    return dg.SensorResult(
        dynamic_partitions_requests=[
            sessions.build_add_request([session.session_id for session in closed])
        ],
        run_requests=[request_for(session) for session in closed],
        cursor=str(closed[-1].close_seq),
    )


@dg.sensor(
    job=training_job,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a training once RL_RETRAIN_SESSIONS new sessions have episodes.",
)
def retrain_sensor(
    context: dg.SensorEvaluationContext,
    database: Database,
    data_folder: DataFolder,
    variables: Variables,
) -> dg.RunRequest | dg.SkipReason:
    """Launch one training on the exact sessions that stand now, where one is due."""
    settings = variables.load()
    with_episodes = context.instance.get_materialized_partitions(dg.AssetKey("session_episodes"))

    async def state(store: Store) -> tuple[Sequence[SessionRow], Sequence[TrainingRun]]:
        good = await list_sessions(store, verdicts=TRAINABLE, limit=MOST_SESSIONS)
        return good, await training_runs(store)

    good, trainings = database.run(state)
    usable = [
        session
        for session in good
        if session.session_id in with_episodes and refusal_in(session, settings.environment) is None
    ]
    unfinished = dg.RunsFilter(job_name=TRAINING, statuses=UNFINISHED)
    look = partial(
        decide,
        Rule(settings.rl_retrain_sessions, settings.rl_retrain_cooldown_minutes),
        trainings=trainings,
        is_training=context.instance.get_runs_count(unfinished) > 0,
        now=variables.now(),
    )
    decision = look(usable)
    if isinstance(decision, Due):
        # No training takes up a session that holds no episode, so it would stay new for ever.
        decision = look([s for s in usable if data_folder.count_episodes(s.session_id) != 0])
    if not isinstance(decision, Due):
        return dg.SkipReason(decision.reason)
    return training_request(decision)


@dg.run_failure_sensor(
    monitored_jobs=[training_job],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the database of a training that failed, however its process ended.",
)
def training_failure_sensor(
    context: dg.RunFailureSensorContext, database: Database, variables: Variables
) -> None:
    """Mark a failed training, so that the retrain sensor and people see it."""
    run_id, error = context.dagster_run.run_id, context.failure_event.message or "unknown"

    async def mark(store: Store) -> None:
        try:
            await update_training(
                store,
                run_id,
                status="failed",
                error=error[:2000],
                ended_at=variables.now(),
            )
        except NotRecorded:
            context.log.info("run %s failed before its training began", run_id)

    database.run(mark)


def request_for(session: SessionRow) -> dg.RunRequest:
    """Ask for the run of one session; one that our trader took part in is proven, not learned."""
    is_ours = session.traded or session.origin == "trader"
    return dg.RunRequest(
        run_key=session.session_id,
        partition_key=session.session_id,
        asset_selection=[dg.AssetKey("orderbook_session")] if is_ours else None,
        tags={"kalshiflow/verdict": session.verdict or "none"},
    )


def training_request(due: Due) -> dg.RunRequest:
    """Ask for one training; the run's configuration holds the exact list of sessions."""
    return dg.RunRequest(
        run_key=due.key,
        run_config={
            "ops": {
                "training_dataset": {
                    "config": {"sessions": list(due.sessions), "trigger": "retrain_sensor"}
                }
            }
        },
        tags={
            "kalshiflow/sessions": str(len(due.sessions)),
            "kalshiflow/new_sessions": str(due.new),
            "kalshiflow/newest_session": due.sessions[-1],
        },
    )
