"""Looks at everything once the demo's stack is quiet: sessions, certificates, training, journal."""

from uuid import UUID

from kalshiflow.learning.parity.reading import remake_run
from kalshiflow.stack.demo_capture import CaptureFacts, books_that_differ
from kalshiflow.stack.demo_checks import CaptureCheck, Found
from kalshiflow.stack.demo_steps import closed_sessions
from kalshiflow.stack.demo_world import World
from kalshiflow.store.database import Store
from kalshiflow.store.proof import certificate
from kalshiflow.store.trading import (
    count_decisions,
    decisions_of_run,
    latest_run,
    orders_of_run,
)
from kalshiflow.store.training import training_runs


def look_at_everything(world: World, found: Found, facts: CaptureFacts | None) -> None:
    """Fill in what can be read now; certificates are drawn anew from the rows."""
    found.sessions = closed_sessions(world)
    found.frames_received = world.frames_received()
    found.rows_to_learn, found.rows_to_judge = world.dataset_rows()
    done = {one.partition for one in world.pipeline_runs() if one.status == "SUCCESS"}
    found.session_runs = sum(one.session_id in done for one in found.sessions if not one.traded)

    async def read(store: Store) -> None:
        found.certificates = [await certificate(store, one.session_id) for one in found.sessions]
        version = found.promotion.model_version if found.promotion else None
        found.training = next(
            (run for run in await training_runs(store) if run.model_version == version), None
        )
        run = await latest_run(store)
        if run is not None:
            found.journal_decisions = sum((await count_decisions(store, run.run_id)).values())
            found.decisions_remade = (await remake_run(store, run.run_id)).equal
            await _trace_orders(store, run.run_id, found)
        if facts is not None:
            recorded = found.sessions[0]
            found.capture = CaptureCheck(
                facts.deltas,
                found.certificates[0].deltas,
                len(facts.books),
                await books_that_differ(store, recorded.session_id, facts.books),
            )

    world.ask(read)


async def _trace_orders(store: Store, run_id: UUID, found: Found) -> None:
    """Follow each order to its decision, the policy's version, its training and the sessions."""
    orders = await orders_of_run(store, run_id)
    decisions = {one.decision_id: one for one in await decisions_of_run(store, run_id)}
    trainings = {one.model_version: one for one in await training_runs(store)}
    sessions = {one.session_id for one in found.sessions}
    found.journal_orders = len(orders)
    for order in orders:
        decision = decisions.get(order.decision_id) if order.decision_id else None
        training = trainings.get(decision.policy_version) if decision else None
        if training is not None and training.dataset_id and sessions.issuperset(training.sessions):
            found.orders_traced += 1
