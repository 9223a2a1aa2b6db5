"""The HTTP surface, over a real service on loopback."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import numpy as np
import pytest

import pct
from pct import cli
from pct.client import Client, ServiceError
from pct.onnx.predictor import OnnxPredictor
from pct.saliency import make_saliency
from serving import command
from serving.openapi import openapi
from serving.schema import Control, ExplainAnswer, ModelAnswer, PredictAnswer
from tests.one_line import ends_with_one_line
from tests.project import REPOSITORY
from tests.serving.conftest import Running, serving
from tests.waiting import PATIENCE, free_port, until

TEXT = "despite its slow start , the film is brilliant"
FIXTURES = REPOSITORY / "tests" / "fixtures" / "v0.1.0"
TEXTS = [TEXT, "a dull and lifeless piece of work", "dreadful"]


def test_predictions_are_the_models_own(served, exported):
    status, answer = served.ask("/predict", {"texts": TEXTS})
    assert status == 200
    PredictAnswer.model_validate(answer, strict=True)
    expected = OnnxPredictor.load(exported["normal"], 1).predict(TEXTS)
    for found, row in zip(answer["predictions"], expected, strict=True):
        np.testing.assert_allclose(list(found["probabilities"].values()), row, atol=1e-5)
    assert answer["model"] == {"id": "normal", "name": None, "version": None, "alias": None}


def test_explanations_are_the_librarys_own(served, exported):
    asked = {"texts": TEXTS, "max_steps": 4, "order": "recomputed", "saliency": "grad_x_input", "model": "pct"}
    status, answer = served.ask("/explain", asked)
    assert status == 200
    ExplainAnswer.model_validate(answer, strict=True)
    assert (answer["model"]["id"], answer["order"], answer["saliency"]) == ("pct", "recomputed", "grad_x_input")
    predictor = OnnxPredictor.load(exported["pct"], 1).with_saliency("grad_x_input")
    for found, e in zip(answer["explanations"], pct.explain(predictor, TEXTS, 4, order="recomputed"), strict=True):
        np.testing.assert_allclose([w["saliency"] for w in found["words"]], e.saliency, atol=1e-5)
        for side in ("important", "unimportant"):
            assert [s["removed"] for s in found[side]["steps"]] == getattr(e, side).removed


def test_controls_are_those_of_the_command_line_for_the_same_text(served, exported, trained, tmp_path, capsys):
    data = tmp_path / "one.csv"
    data.write_text(f'text,label\n"{TEXT}",positive\n', encoding="utf-8")
    names = list(get_args(Control))
    with Client(served.url) as client:
        (found,) = client.explain([TEXT], model="pct", controls=names, saliency="l2")  # as `pct evaluate` measures
    for folder in (exported["pct"], trained["pct"]):
        assert cli.main(["evaluate", str(folder), "--data", str(data), "--json", "--metrics", *names]) == 0
        assert found.controls == pytest.approx(json.loads(capsys.readouterr().out)["metrics"], abs=1e-5)
    status, refused = served.ask("/explain", {"texts": [TEXT], "controls": ["acc"]})
    assert status == 400
    assert "controls" in refused["error"]
    expensive = {"texts": ["film " * 64] * 64, "controls": ["naopc_comp"]}
    assert "fewer controls" in served.ask("/explain", expensive)[1]["error"]


def test_the_saliency_is_told_with_its_sign_and_reason_and_is_refused_where_the_model_lacks_it(served):
    about = served.ask("/model")[1]["models"][0]
    for saliency in (None, *about["saliencies"]):
        status, answer = served.ask("/explain", {"texts": [TEXT], "saliency": saliency})
        assert status == 200, answer
        ExplainAnswer.model_validate(answer, strict=True, extra="forbid")
        assert answer["saliency"] == (saliency or about["saliency"])
        assert answer["saliency_reason"] == ("asked for" if saliency else about["saliency_reason"])
        assert answer["signed"] == make_saliency(answer["saliency"]).signed
    for wrong in ("attention", "x\ny", "a" * 900):
        status, refused = served.ask("/explain", {"texts": [TEXT], "saliency": wrong})
        assert status == 400
        assert refused["error"].endswith(f"it gives {', '.join(about['saliencies'])}")
        assert "\n" not in refused["error"]
        assert len(refused["error"]) < 400
    assert served.ask("/explain", {"texts": [TEXT], "saliency": ["l2"]})[0] == 400


def test_the_passes_of_a_saliency_count_against_the_limit(served):
    long = {"texts": ["film " * 60] * 64, "order": "recomputed"}
    status, refused = served.ask("/explain", {**long, "saliency": "occlusion"})
    assert status == 400
    assert "passes of the model, and 100000 are allowed" in refused["error"]


def test_the_models_and_the_limits_are_told(served):
    status, answer = served.ask("/model")
    assert status == 200
    ModelAnswer.model_validate(answer, strict=True)
    assert [m["id"] for m in answer["models"]] == ["normal", "pct"]
    assert answer["limits"]["texts"] == 64


LONG = json.dumps({"texts": ["film " * 3000]}).encode()


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"null", 400), (b'{"texts": []}', 400), (b'{"texts": [""]}', 400),
        (b'{"texts": ["\\u2003\\n"]}', 400), (b'{"texts": [["a"]]}', 400), (b'{"texts": {"0": "a"}}', 400),
        (b'{"texts": ["a"], "model": "none"}', 400), (b'{"texts": ["\\udc00"]}', 400),
        (b'{"texts": ["\xc3\x28"]}', 400), (json.dumps({"texts": ["a"] * 65}).encode(), 400), (LONG, 400),
        (b" " * 10_000_000, 413), (b'{"texts": ["a\\u0000b \\u0000"]}', 200),
        (b'{"texts": ["\\ud83c\\udfac \\u202e\\u0641\\u064a\\u0644\\u0645"]}', 200),
        (json.dumps({"texts": ["x" * 10_000]}).encode(), 200), (json.dumps({"texts": ["a"] * 64}).encode(), 200),
    ],
)  # fmt: skip
def test_no_body_is_answered_with_a_server_error(served, path, body, status):
    found, answer = served.ask(path, body)
    assert found == status
    if status != 200:
        assert isinstance(answer["error"], str)
        assert answer["error"]
    assert served.ask("/predict", {"texts": ["a film"]})[0] == 200


def test_other_methods_and_paths_are_refused(served):
    assert served.ask("/predict")[0] == 405
    assert served.ask("/model", {"texts": ["a"]})[0] == 405
    assert served.ask("/../secret")[0] == 404
    assert served.ask("/none")[0] == 404


POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
ASKED = b'{"texts": ["a film"]}'


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET, 200), (b"GET /livez HTTP/1.1\r\nHost: LocalHost:3000\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: [::1]:3000\r\n", 200), (b"HEAD /model HTTP/1.1\r\nHost: localhost\r\n", 200),
        (b"HEAD /explain HTTP/1.1\r\nHost: localhost\r\n", 405),
        (b"OPTIONS /predict HTTP/1.1\r\nHost: localhost\r\n", 405), (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n", 405),
        (b"MAKE / HTTP/1.1\r\nHost: localhost\r\n", 400), (b"GET /livez HTTP/1.1\r\n", 421),
        (b"GET /livez HTTP/1.0\r\n", 421), (b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n", 400), (GET + b"X: a\0b\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400), (b"PRI * HTTP/2.0\r\n", 400),
        (POST + b"Content-Length: -1\r\n", 400), (POST + b"Content-Length: 1%030d\r\n" % 0, 400),
        (POST + b"Transfer-Encoding: gzip\r\n", 400),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", 400),
        (POST + b"Content-Length: 21\r\nTransfer-Encoding: chunked\r\n", 400),
        (POST + b"Content-Length: 21\r\nAuthorization: \xff\r\nX-Request-ID: \xfe\r\n\r\n" + ASKED, 200),
        (CHUNKED + b"\r\nzz\r\n", 400), (CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n", 400),
        (CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % c for c in ASKED) + b"0\r\n", 200),
    ],
)  # fmt: skip
def test_no_bytes_meet_a_server_error(served, request_, status):
    place = urlsplit(served.url)
    end = b"" if request_.endswith(ASKED) else b"\r\n" if b"\r\n\r\n" in request_ else b"Connection: close\r\n\r\n"
    with socket.create_connection((place.hostname, place.port), PATIENCE) as s:
        s.sendall(request_ + end)
        assert int(s.recv(4096)[9:12]) == status
    assert "Traceback" not in served.log


def test_cross_origin_requests_are_not_allowed(served):
    place = urlsplit(served.url)
    with socket.create_connection((place.hostname, place.port), 10) as s:
        s.sendall(
            b"OPTIONS /explain HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
            b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
            b"Connection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: s.recv(4096), b"")).lower()
    assert b"access-control-allow" not in answer
    assert answer.startswith(b"http/1.1 405")
    assert b"\r\nallow: post\r\n" in answer


def test_it_listens_on_loopback_alone(served):
    import psutil

    processes = [psutil.Process(served.process.pid), *psutil.Process(served.process.pid).children(recursive=True)]
    heard = {c.laddr.ip for p in processes for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert heard == {"127.0.0.1"}


def test_the_openapi_document_describes_what_is_answered_and_says_nothing_of_the_models(served):
    status, document = served.ask("/openapi.json")
    assert status == 200
    assert document == openapi(pct.__version__)  # the same for every service
    assert set(document["paths"]) == {"/predict", "/explain", "/model"}
    for path, kind in (("/predict", PredictAnswer), ("/explain", ExplainAnswer)):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        answer = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["example"]
        kind.model_validate(answer, strict=True, extra="forbid")
        status, found = served.ask(path, content["example"])
        assert status == 200
        assert shape(found) == shape(answer)
    about = document["paths"]["/model"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    ModelAnswer.model_validate(about, strict=True)
    assert shape(served.ask("/model")[1]["limits"]) == shape(about["limits"])
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]


def shape(value: Any) -> Any:
    """The names in an answer, and the names in what they name."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items() if k not in ("probabilities", "metrics")}
    return shape(value[0]) if isinstance(value, list) and value else None


def test_the_document_can_be_read(served):
    status, page = served.ask("/docs")
    assert status == 200
    for part in ("POST /predict", "POST /explain", "GET /model", "max_steps", "421: The Host header", "flips_at"):
        assert part in page
    assert "<script" not in page
    assert [a for a in re.findall(r"href='#(\w+)'", page) if f"id='{a}'" not in page] == []


def test_health_and_prometheus_metrics(served):
    assert served.ask("/livez")[0] == served.ask("/readyz")[0] == 200
    served.ask("/explain", {"texts": [TEXT]})
    served.ask("/predict", b"{")
    text = served.ask("/metrics")[1]

    def value(name):
        (found,) = (line for line in text.splitlines() if line.startswith(name))
        return float(found.split()[-1])

    assert value('pct_explain_seconds_count{order="static",words="9-16"') >= 1
    assert value('pct_batch_texts_count{lane="light"}') >= 1
    assert value('pct_wait_seconds_count{lane="light"}') >= 1
    assert value('pct_queue_requests{lane="light"}') == 0
    assert value('pct_refusals_total{status="400"}') >= 1
    assert value('pct_model_version{model="normal",name="",version=""}') == 1
    assert any(line.startswith('pct_verdicts_total{model="normal",verdict="') for line in text.splitlines())
    assert 'bentoml_service_request_total{endpoint="/explain"' in text


def test_unknown_paths_leave_nothing_behind(served):
    served.ask("/predict", {"texts": ["a film"]})
    before = served.ask("/metrics")[1].count("\n")
    for n in range(50):
        assert served.ask(f"/unknown-{n}")[0] == 404
    assert served.ask("/metrics")[1].count("\n") <= before + 3  # the status 404 among the refusals


def test_a_rebound_name_is_refused(served):
    for path, body in (("/", None), ("/model", None), ("/predict", {"texts": ["a"]}), ("/metrics", None)):
        status, answer = served.ask(path, body, {"Host": "attacker.example"})
        assert (status, "attacker.example" in answer["error"]) == (421, True)
        assert served.ask(path, body, {"Host": "localhost:3000"})[0] == 200


def test_an_expensive_explanation_keeps_no_prediction_waiting(served):
    words = [f"film {n} is brilliant and dreadful and moving and dull" for n in range(64)]
    heavy = {"texts": [" ".join(words[n:] + words[:n])[:400] for n in range(64)], "order": "recomputed"}
    with ThreadPoolExecutor(1) as pool:
        expensive = pool.submit(served.ask, "/explain", {**heavy, "texts": heavy["texts"][:32]})
        answered = 0
        while not expensive.done():
            assert served.ask("/predict", {"texts": [TEXT]})[0] == 200
            answered += 1
        assert expensive.result()[0] in (200, 408)
    assert answered > 10
    status, answer = served.ask("/explain", {**heavy, "saliency": "integrated_gradients"})
    assert status == 400
    assert "passes of the model, and 100000 are allowed" in answer["error"]


def test_many_clients_get_their_own_answers(served, exported):
    texts = [f"the film number {n} is {'brilliant' if n % 3 else 'dreadful'} and long" for n in range(48)]
    expected = OnnxPredictor.load(exported["normal"], 1).predict(texts)

    def ask(n):
        path = "/explain" if n % 2 else "/predict"
        status, answer = served.ask(path, {"texts": [texts[n]]})
        assert status == 200, answer
        return list((answer.get("predictions") or answer["explanations"])[0]["probabilities"].values())

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(48)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_client_gives_typed_results(served):
    with Client(served.url) as client:
        (predicted,) = client.predict([TEXT], model="pct")
        assert predicted.model.id == "pct"
        assert predicted.confidence == max(predicted.probabilities.values())
        first, second = client.explain([TEXT, "dreadful"], max_steps=3, target="negative", model="pct")
        assert len(first.saliency) == len(first.words) == 9
        assert isinstance(first, pct.Explanation)
        assert first.model == predicted.model
        assert [len(first.important.removed), len(second.important.removed)] == [3, 0]
        assert first.target == "negative"
        assert (first.predicted, first.probabilities) == (predicted.label, pytest.approx(predicted.probabilities))
        assert (second.verdict.kind, len(second.verdict.reasons)) == ("undecided", 1)
        start, end = first.spans[2]
        assert TEXT[start:end] == first.words[2] == "slow"
        assert client.model()["models"][1]["id"] == "pct"
        assert (first.saliency_name, first.signed) == ("grad_x_input", True)
        assert "not audited" in first.saliency_reason
        (plain,) = client.explain([TEXT], saliency="random")
        assert (plain.saliency_name, plain.signed, plain.saliency_reason) == ("random", False, "asked for")
        with pytest.raises(ServiceError, match="target 'x' is not one of") as refused:
            client.explain([TEXT], target="x")
        assert refused.value.status == 400
    with pytest.raises(ValueError, match="http://127"):
        Client("localhost")


def test_the_client_says_when_nothing_answers():
    with pytest.raises(ServiceError, match="does not answer") as refused:
        Client(f"http://127.0.0.1:{free_port()}").predict(["a"])
    assert refused.value.status == 0


@pytest.fixture(scope="module")
def guarded(exported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of a folder of its own, with a token, a short queue and little time."""
    folder = tmp_path_factory.mktemp("guarded")
    model = shutil.copytree(exported["normal"], folder / "model")
    limits = ("--max-queue", "3", "--max-seconds", "1.5")
    with serving(folder, str(model), *limits, PCT_TOKEN="open sesame") as running:
        running.headers["Authorization"] = "Bearer open sesame"
        yield running


def test_a_token_is_asked_for(guarded):
    stranger = replace(guarded, headers={})
    for path, body in (("/predict", {"texts": ["a"]}), ("/explain", {"texts": ["a"]}), ("/model", None)):
        assert stranger.ask(path, body)[0] == 401
        assert stranger.ask(path, body, {"Authorization": "Bearer open"})[0] == 401
        assert guarded.ask(path, body)[0] == 200
    assert Client(guarded.url, token="open sesame").predict(["a film"])
    with pytest.raises(ServiceError, match="needs a token"):
        Client(guarded.url, token="").predict(["a film"])
    assert "sesame" not in guarded.log
    # what is public says nothing of what is served
    for path in ("/openapi.json", "/docs", "/schema.json", "/"):
        status, text = stranger.ask(path)
        assert status == 200
        assert str(guarded.log_file.parent / "model") not in str(text)
        assert "planted" not in str(text)
    # the id is made of the model's own settings where none was given
    assert guarded.ask("/model")[1]["models"][0]["id"] == "planted-textcnn-normal"


def test_overload_is_refused_at_once_and_slow_requests_are_given_up(guarded):
    heavy = {"texts": ["a dull and lifeless film " * 12] * 64, "order": "recomputed", "max_steps": 60}
    with ThreadPoolExecutor(12) as pool:
        statuses = [status for status, _ in pool.map(lambda _: guarded.ask("/explain", heavy), range(12))]
    assert statuses.count(503) >= 6
    assert set(statuses) <= {200, 408, 503}
    assert statuses.count(200) + statuses.count(408) >= 3
    # what was given up does not go on in secret: a small request is answered in its time
    assert guarded.ask("/explain", {"texts": [TEXT]})[0] == 200
    assert "Traceback" not in guarded.log


def worker_of(running: Running) -> Any:
    """The only process that answers."""
    import psutil

    processes = psutil.Process(running.process.pid).children(recursive=True)
    (worker,) = [p for p in processes if any("service" in part and "worker" in part for part in p.cmdline())]
    return worker


@pytest.mark.faults
def test_a_killed_worker_comes_back_and_one_that_cannot_ends_the_service(guarded):
    worker_of(guarded).kill()

    def answers() -> bool:
        with suppress(OSError):
            return guarded.ask("/predict", {"texts": [TEXT]})[0] == 200
        return False

    until(answers, guarded.log_file)
    assert guarded.ask("/predict", {"texts": [TEXT]})[0] == 200

    model = guarded.log_file.parent / "model"
    shutil.rmtree(model)
    worker_of(guarded).kill()
    assert guarded.process.wait(90) == 1
    last = guarded.log.splitlines()[-1]
    assert last.startswith("error: the service cannot start: ")
    assert str(model) in last


@pytest.mark.faults
@pytest.mark.parametrize("killed", ["pct serve", "the process that starts the workers"])
def test_the_processes_of_a_killed_service_end(tmp_path, killed):
    import psutil

    with serving(tmp_path, str(FIXTURES / "exported-textcnn")) as running:
        processes = psutil.Process(running.process.pid).children(recursive=True)
        assert len(processes) >= 2
        if killed == "pct serve":
            running.process.kill()
        else:
            processes[0].kill()
            assert running.process.wait(PATIENCE) == 1
            assert "error: the service was killed by signal 9" in running.log
        _, left = psutil.wait_procs(processes, timeout=PATIENCE)
    assert not left


@pytest.mark.parametrize("sent", command.STOPS)
def test_a_service_that_ignores_the_first_signal_is_stopped_by_the_next(tmp_path, monkeypatch, sent):
    """As circus does with one that comes while it starts a worker."""
    ignores = (
        "import signal, sys, time; got = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: got.append(1) if not got else sys.exit(0))\n"
        "open(sys.argv[1], 'x').close(); time.sleep(600)"
    )
    ready, start = tmp_path / "ready", subprocess.Popen
    monkeypatch.setattr(
        command.subprocess, "Popen", lambda *_, **how: start([sys.executable, "-c", ignores, str(ready)], **how)
    )

    def interrupt():
        while not ready.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), sent)

    before = [signal.getsignal(number) for number in command.STOPS]
    threading.Thread(target=interrupt).start()
    try:
        assert command.main([str(FIXTURES / "exported-textcnn"), "--port", str(free_port())]) == 0
    finally:
        for number, handler in zip(command.STOPS, before, strict=True):
            signal.signal(number, handler)


def test_two_services_have_metrics_of_their_own(served, exported, tmp_path):
    served.ask("/explain", {"texts": [TEXT]})
    before = re.findall(r"pct_explain_seconds_count.*", served.ask("/metrics")[1])
    # the second one's home cannot be written to, either, and its log is JSON
    with serving(tmp_path, str(exported["pct"]), "--log", "json", "--allow-host", "a.example", HOME="/proc") as running:
        assert running.ask("/predict", {"texts": ["a secret film"]}, {"Host": "a.example"})[0] == 200
        assert "pct_explain_seconds_count{" not in running.ask("/metrics")[1]
        assert re.findall(r"pct_explain_seconds_count.*", served.ask("/metrics")[1]) == before
        lines = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
        (asked,) = [line for line in lines if line.get("path") == "/predict"]
        assert (asked["method"], asked["status"], asked["client"]) == ("POST", 200, "127.0.0.1")
        assert "secret" not in running.log
        assert "Traceback" not in running.log


def test_what_cannot_be_served_is_named_at_the_start(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    run = str(FIXTURES / "run-textcnn")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, message in (
            (["none"], "there is no model none"),
            ([str(tmp_path / "empty")], "holds no model"),
            ([run, "--cache", "/proc/none"], "name another folder by --cache or PCT_CACHE_DIR"),
            (["none", "--max-texts", "0"], "PCT_SERVE_TEXTS must be > 0 and finite, got 0"),
            (["none", "--poll", "nan"], "--poll must be > 0 seconds and finite, got nan"),
            (["none", "--port", "99999"], "--port must be from 1 to 65535, got 99999"),
            (["none", "--workers", "0"], "--workers must be >= 1, got 0"),
            (["none", "--threads", "-1"], "--threads must be >= 0, got -1"),
            (
                ["none", "--host", "no.such.invalid"],
                "--host must be an address or a name of this machine, got 'no.such",
            ),
            (["none", "--port", port], f"port {port} of 127.0.0.1 is in use; choose another with --port"),
        ):
            assert message in ends_with_one_line(["serve", *arguments], capsys)


def test_the_service_needs_neither_torch_nor_transformers_nor_mlflow(exported):
    code = """
import sys
import threading
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "mlflow", "datasets", "pandas"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Refuse())
import serving.service, serving.command, pct.client
from pathlib import Path
from serving.answers import ExplainJob, read_texts
from serving.limits import Limits
from serving.model_store import ModelStore
from serving.schema import ExplainRequest
store = ModelStore(Path(sys.argv[1]), 1)
job = ExplainJob.of(ExplainRequest(texts=["a"]), store.find(None), Limits())
print(job.run(read_texts(["a moving film"], Limits()), float("inf"))[0][0]["label"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported["pct"])], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("positive", "negative")


@pytest.mark.parametrize("given", ["a film", ("a premise", "a hypothesis")])
@pytest.mark.parametrize("ask", [Client().predict, Client().explain])
def test_one_text_in_place_of_a_list_is_refused_before_it_is_sent(ask, given):
    with pytest.raises(TypeError, match=r"the texts are a list: give \["):
        ask(given)
