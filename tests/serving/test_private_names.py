"""The private names of dependencies that the service uses: each has an upper bound, and this fails when one moves."""

import inspect
import re
import tomllib
from typing import Any

import pytest

from tests.project import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_bentoml_has_the_metrics_that_the_service_takes():
    from bentoml._internal.container import BentoMLContainer
    from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware

    assert {"app", "namespace"} <= parameters(RunnerTrafficMetricsMiddleware)
    client = BentoMLContainer.metrics_client.get()
    assert callable(client.generate_latest)
    assert client.CONTENT_TYPE_LATEST.startswith("text/plain")


def test_bentoml_takes_a_request_from_its_model():
    import bentoml

    assert list(inspect.signature(bentoml.IODescriptor.from_http_request).parameters) == ["request", "serde"]


def test_uvicorn_has_the_protocol_that_the_service_extends():
    import uvicorn.config
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

    from serving.transport import BoundedProtocol

    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "serving.transport:BoundedProtocol"
    own = {name for name, value in vars(BoundedProtocol).items() if inspect.isfunction(value)}
    overridden = {name for name in own if hasattr(HttpToolsProtocol, name)}
    assert overridden == {
        "connection_lost", "connection_made", "data_received", "on_headers_complete", "on_message_begin",
        "on_message_complete", "on_response_complete", "_start_asgi_task",
    }  # fmt: skip
    for name in overridden:
        assert parameters(getattr(BoundedProtocol, name)) == parameters(getattr(HttpToolsProtocol, name)), name
    fields = inspect.getsource(HttpToolsProtocol.__init__) + inspect.getsource(RequestResponseCycle.__init__)
    for field in ("connections", "pipeline", "cycle", "transport", "loop", "disconnected", "message_event"):
        assert f"self.{field}" in fields, field


@pytest.mark.parametrize("package", ["bentoml", "uvicorn"])
def test_their_versions_have_an_upper_bound(package):
    (requirement,) = [r for r in PROJECT["optional-dependencies"]["serve"] if re.match(rf"{package}\b", r)]
    assert "<" in requirement


def test_the_service_is_installed_from_one_list(monkeypatch):
    """The extra `serve`: the lock of bentofile.yaml and the Dockerfile, and `pct bento`, are made from it."""
    from serving import bento

    extra = PROJECT["optional-dependencies"]["serve"]
    numpy = next(r for r in PROJECT["dependencies"] if r.startswith("numpy"))
    names = {re.match(r"[\w-]+", r)[0] for r in (*extra, numpy)}  # type: ignore[index]
    lock = (REPOSITORY / "requirements-serve.lock").read_text(encoding="utf-8")
    assert names <= {line.partition("==")[0] for line in lock.splitlines()}
    assert "pyproject.toml --extra serve" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for recipe in ("bentofile.yaml", "Dockerfile"):
        installed = re.findall(r"requirements[\w.-]*", (REPOSITORY / recipe).read_text(encoding="utf-8"))
        assert {name for name in installed if "." in name} == {"requirements-serve.lock"}

    metadata = [f"{r.partition(';')[0]}; extra == 'serve'" for r in extra] + ["torch>=2", "mlflow; extra == 'tracking'"]
    monkeypatch.setattr(bento, "requires", lambda _: metadata)
    assert {line.partition("==")[0] for line in bento.service_requirements()} == names
