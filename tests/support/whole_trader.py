"""The whole trader in this process: a venue, a registry with a bundle, and what to ask them with."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from kalshiflow.agent.action import ACTIONS, fingerprint
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.policy import BUNDLE_FORMAT
from kalshiflow.serving import bind, serving
from kalshiflow.settings import load
from kalshiflow.store.database import Store
from kalshiflow.venue.config import VenueConfig
from trader.app import run


def write_bundle(place, bias, graph_bytes=None, seed=None):
    """Write a bundle whose scores are the same for every observation: the mask decides.

    With a `seed` they are drawn, and say something of the observation. It appears whole, as in a registry; `graph_bytes` stand in for the graph that its manifest names.
    """
    folder = place.parent.with_name("in the making") / place.name
    folder.mkdir(parents=True)
    weights = np.zeros((OBSERVATION_SIZE, len(ACTIONS)), dtype=np.float32)
    if seed is not None:
        drawn = np.random.default_rng(seed).normal(size=weights.shape)
        weights = drawn.astype(np.float32)
    scores = np.array(bias, dtype=np.float32)
    shapes = {"observation": OBSERVATION_SIZE, "scores": len(ACTIONS)}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in shapes.items()
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["observation", "weights"], ["said"]),
            helper.make_node("Add", ["said", "bias"], ["scores"]),
        ],
        "constant",
        [values["observation"]],
        [values["scores"]],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(scores, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rows = 8
    np.savez(
        folder / "probe.npz",
        observations=np.zeros((rows, OBSERVATION_SIZE), dtype=np.float32),
        masks=np.ones((rows, len(ACTIONS)), dtype=bool),
        scores=np.tile(scores, (rows, 1)),
        actions=np.full(rows, int(scores.argmax())),
    )
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.onnx", "probe.npz")
    }
    manifest = {
        "format": BUNDLE_FORMAT,
        "version": "test",
        "fingerprint": fingerprint(),
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if graph_bytes is not None:
        (folder / "model.onnx").write_bytes(graph_bytes)
    folder.rename(place)


def registry(folder):
    """Serve what the trader asks of MLflow; the alias is the name of the newest folder in it."""

    def alias(_request):
        versions = sorted(path.name for path in folder.iterdir())
        if not versions:
            message = "Registered model alias champion not found."
            return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400)
        written = (folder / versions[-1] / "manifest.json").read_bytes()
        tags = [{"key": "sha256", "value": hashlib.sha256(written).hexdigest()}]
        return JSONResponse({"model_version": {"version": versions[-1], "tags": tags}})

    def place(request):
        version = request.query_params["version"]
        return JSONResponse({"artifact_uri": f"mlflow-artifacts:/1/models/{version}/artifacts"})

    def artifact(request):
        return FileResponse(folder / request.path_params["version"] / request.path_params["name"])

    return Starlette(
        routes=[
            Route("/api/2.0/mlflow/registered-models/alias", alias),
            Route("/api/2.0/mlflow/model-versions/get-download-uri", place),
            Route(
                "/api/2.0/mlflow-artifacts/artifacts/1/models/{version}/artifacts/{name}", artifact
            ),
        ]
    )


class Line:
    """A wire to the venue's socket that can be cut."""

    def __init__(self, target):
        self._host, _, port = target.removeprefix("ws://").partition("/")[0].partition(":")
        self._port = int(port)
        self._writers = []

    @asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            self.cut()

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader, writer):
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, back]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except* OSError:
            pass  # it was cut

    async def _pass_on(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


def opener(serve_venue, tmp_path, policies, postgres_url, port):
    """Give an async context manager: venue, registry and trader, and what to ask them with.

    `faults` are the venue's.
    """

    @asynccontextmanager
    async def start(faults=(), **more):
        listener = bind(0, "none")
        mlflow = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = VenueConfig(
            markets=6, speed=10.0, key_dir=tmp_path / "keys", fault_lines=tuple(faults)
        )
        async with (
            serve_venue(config) as venue,
            serving(registry(policies), listener),
            (line := Line(venue.ws)).open() as ws_port,
        ):
            environ = {
                "DATABASE_URL": postgres_url,
                "MLFLOW_TRACKING_URI": mlflow,
                "KALSHI_API_URL": venue.rest,
                "KALSHI_WS_URL": f"ws://127.0.0.1:{ws_port}/trade-api/ws/v2",
                "KALSHI_API_KEY_ID": venue.key_id,
                "KALSHI_PRIVATE_KEY_PATH": str(venue.private_key_path),
                "RL_TRADER_PORT": str(port),
                "RL_POLICY_POLL_SECONDS": "0.1",
                "RL_STATE_DIR": str(tmp_path / "state"),
                **more,
            }
            settings = load("trader", environ, tmp_path)
            stop = asyncio.Event()
            async with (
                await Store.open(postgres_url) as store,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
            ):
                task = asyncio.ensure_future(run(settings, stop))
                yield SimpleNamespace(
                    venue=venue,
                    store=store,
                    http=http,
                    stop=stop,
                    task=task,
                    port=port,
                    line=line,
                )
                stop.set()
                await task

    return start


async def status(rig):
    return (await rig.http.get("/v3/status")).json()


async def wait_for(rig, condition, seconds=20):
    """Ask for the status until it is as wanted; gives it."""
    told = {}
    async with asyncio.timeout(seconds):
        while True:
            if rig.task.done():
                await rig.task
            try:
                told = await status(rig)
            except httpx.TransportError:
                told = {}
            if told and condition(told):
                return told
            await asyncio.sleep(0.05)


def account_of(rig):
    (account,) = rig.venue.venue.floor.accounts.with_keys()
    return account
