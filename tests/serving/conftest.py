"""Two small models, exported, and a real service of them on loopback."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pct.settings import Settings
from tests.project import REPOSITORY
from tests.shared import made_once
from tests.waiting import PATIENCE, free_port, until

pytest.importorskip("bentoml")
pytest.importorskip("onnxruntime")


def served_model(classifier: Any, folder: Path) -> Any:
    """A classifier as the service has it, exported into a folder and loaded: a `ServedModel` named as the folder."""
    from pct.onnx.export import export
    from pct.onnx.predictor import OnnxPredictor
    from serving.model_store import ModelEntry, ServedModel

    export(classifier, folder)
    return ServedModel(ModelEntry(folder.name, str(folder), "somewhere"), OnnxPredictor.load(folder, 1), (0, 0))


@dataclass
class Running:
    """A service. url: where it answers. log: what it has said so far."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def ask(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and parsed JSON; a body that is bytes goes as it is."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {**({} if raw is None else {"Content-Type": "application/json"}), **self.headers, **(headers or {})}
        try:
            connection.request("GET" if raw is None else "POST", path, raw, sent)
            answer = connection.getresponse()
            text = answer.read()
            kind = answer.headers.get_content_type()
            return answer.status, json.loads(text) if kind == "application/json" else text.decode()
        finally:
            connection.close()


@contextmanager
def serving(
    folder: Path, *arguments: str, python: Path = Path(sys.executable), **environment: str
) -> Iterator[Running]:
    """`pct serve` with these arguments, ready to answer; stopped at the end, with all its processes."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    command = [str(python), "-m", "pct.cli", "serve", *arguments, "--port", str(port), "--threads", "1"]
    settings = {
        **os.environ, "PYTHONPATH": str(REPOSITORY), "PCT_CACHE_DIR": str(folder / "cache"),
        "BENTOML_HOME": str(folder / "bentoml"), "OMP_NUM_THREADS": "1", **environment,
    }  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=settings, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    running = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        wait(running)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait(running: Running) -> None:
    """Until it is ready to answer."""

    def ready() -> bool:
        assert running.process.poll() is None, f"the service stopped at its start:\n{running.log}"
        with suppress(OSError):
            return running.ask("/readyz")[0] == 200
        return False

    until(ready, running.log_file)


@pytest.fixture(scope="session")
def exported() -> dict[str, Path]:
    """Exported models of the embedded corpus: "normal" and "pct"."""
    from pct.onnx.export import export
    from pct.training.trainer import train

    def make(folder: Path) -> None:
        for method in ("normal", "pct"):
            settings = Settings(method=method, limit=600, epochs=3, evaluate_limit=16, threads=1)
            classifier = train(settings, progress=False)
            classifier.save(folder / f"{method}-torch")
            export(classifier, folder / method)

    folder = made_once("exported", make)
    return {method: folder / method for method in ("normal", "pct")}


@pytest.fixture(scope="session")
def trained(exported: dict[str, Path]) -> dict[str, Path]:
    """The same models, as torch has them."""
    return {method: folder.with_name(f"{folder.name}-torch") for method, folder in exported.items()}


@pytest.fixture(scope="session")
def served(exported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of both models, "normal" (the default one) and "pct", for all tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, f"normal={exported['normal']}", f"pct={exported['pct']}") as running:
        yield running
