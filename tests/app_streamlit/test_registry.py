"""The policies' page shows the champion however many versions came after it."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from app_streamlit.registry import RegistryUnavailable, policy_versions


def version(number):
    return {"version": str(number), "creation_timestamp": 1_000, "run_id": "r"}


class Mlflow(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        if parts.path.endswith("/registered-models/get"):
            alias = {"alias": "champion", "version": "3"}
            self._answer({"registered_model": {"aliases": [alias]}})
        elif parts.path.endswith("/model-versions/search"):
            self._answer({"model_versions": [version(70), version(69)]})
        else:
            self._answer({"model_version": version(parse_qs(parts.query)["version"][0])})

    def log_message(self, *_):
        pass

    def _answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def address():
    with HTTPServer(("127.0.0.1", 0), Mlflow) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_champion_is_listed_though_many_versions_came_after_it(address, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    listed = policy_versions(address)

    assert [one.version for one in listed] == [70, 69, 3]
    assert listed[2].aliases == ("champion",)


def test_a_registry_that_is_not_there_is_told():
    with pytest.raises(RegistryUnavailable, match="did not answer"):
        policy_versions("http://127.0.0.1:1")
