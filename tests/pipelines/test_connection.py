"""A server that cannot be used is told within seconds, with the remedy and without secrets."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pipelines import connection
from pipelines.connection import TrackingError, connect, how_to_view, request_timeout, tracking_uri, without_password
from tests.project import REPOSITORY


def test_nothing_at_the_port_is_told_with_the_remedy(closed_port):
    with pytest.raises(
        TrackingError, match=r"127\.0\.0\.1:\d+ cannot be used: connection refused.*MLFLOW_TRACKING_URI"
    ):
        connect(f"http://127.0.0.1:{closed_port}")


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(connection, "request_timeout", lambda: request_timeout(1, 1))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError, match="no answer in"):
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_database_that_is_down_is_told_at_once(closed_port):
    with pytest.raises(TrackingError, match="refused") as told:
        connect(f"postgresql://user:secret@127.0.0.1:{closed_port}/mlflow")
    assert "secret" not in str(told.value)


def test_a_sqlite_file_in_no_folder_is_told(tmp_path):
    with pytest.raises(TrackingError, match="there is no folder"):
        connect(f"sqlite:///{tmp_path}/none/mlflow.db")


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that wants credentials."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(401)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_refused_credentials_are_told_as_such(refusing):
    with pytest.raises(TrackingError, match="refused the credentials; set MLFLOW_TRACKING_USERNAME"):
        connect(refusing)


def test_patience_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with request_timeout(3, 2):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_as_default_gives_the_old_uri_and_environment_back(uri, tmp_path):
    import mlflow

    other = f"sqlite:///{tmp_path}/other.db"
    with connection.default_tracking(other):
        assert mlflow.get_tracking_uri() == other
    assert mlflow.get_tracking_uri() == uri
    assert os.environ["MLFLOW_TRACKING_URI"] == uri


def test_the_environment_goes_before_what_a_folder_remembers(uri, monkeypatch):
    assert tracking_uri("http://remembered") == uri
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri("http://remembered") == "http://remembered"
    assert tracking_uri().startswith("sqlite:///")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://user:secret@host:5000/x", "http://host:5000/x"),
        ("postgresql://u:p@host/db", "postgresql://host/db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_user_and_password_are_never_shown(uri, shown):
    assert without_password(uri) == shown
    assert "secret" not in how_to_view(uri, "1", "2")


def test_the_ui_is_opened_on_loopback_or_at_the_server():
    assert how_to_view("sqlite:////a b/mlflow.db") == (
        "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db' --host 127.0.0.1 --port 5000"
    )
    assert how_to_view("https://host/", "3", "abc") == "open https://host/#/experiments/3/runs/abc"


def test_processes_that_begin_together_set_a_database_up_once(tmp_path):
    code = "import sys; from pipelines.connection import connect; connect(sys.argv[1])"
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/fresh.db"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    together = [subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1].decode() for process in together]
    assert [process.returncode for process in together] == [0, 0], errors
    connect(f"sqlite:///{tmp_path}/fresh.db")


def test_a_database_that_cannot_be_used_is_not_the_advice(tmp_path):
    (tmp_path / "broken.db").write_bytes(b"no database at all, but long enough to be taken for one" * 99)
    with pytest.raises(TrackingError, match=r"database .*broken\.db cannot be used: .*another one") as told:
        connect(f"sqlite:///{tmp_path}/broken.db")
    assert "sqlite:///mlflow.db" not in str(told.value)
