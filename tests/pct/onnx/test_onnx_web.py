"""The exported graphs run unchanged in a browser, by onnxruntime-web, and give the same numbers there."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pct.onnx.predictor import GRADIENT, WEIGHTS, OnnxPredictor
from tests.browser import browser, needs_browser

pytestmark = [needs_browser, pytest.mark.page]

KEPT = Path(__file__).parents[2] / "fixtures" / "v0.1.0"
TEXTS = [["a", "brilliant", "and", "moving", "film", "."], ["never", "dull"]]
PAGE = """<!doctype html><meta charset="utf-8"><title>a graph in a browser</title>
<script src="/node_modules/onnxruntime-web/dist/ort.wasm.min.js"></script>"""
RUN = """
const [folder, weights, ids, words, classes, shape, done] = arguments;
const long = (numbers, dims) => new ort.Tensor("int64", BigInt64Array.from(numbers.map(BigInt)), dims);
ort.env.wasm.numThreads = 1;
(async () => {
  const graph = await ort.InferenceSession.create(`${folder}/model.onnx`, {
    externalData: [{ path: weights, data: `${folder}/${weights}` }],
  });
  const feeds = { ids: long(ids, shape), words: long(words, shape), classes: long(classes, [shape[0]]) };
  const found = await graph.run(feeds);
  return Object.fromEntries(Object.entries(found).map(([name, x]) => [name, [x.dims, [...x.data]]]));
})().then(done, (problem) => done(String(problem)));
"""


class Files(http.server.SimpleHTTPRequestHandler):
    """A folder over HTTP, with the types that a browser insists on."""

    def guess_type(self, path: Any) -> str:
        """Python knows not all of them."""
        own = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return own.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """onnxruntime-web and the exported folders, on loopback."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: apt-get install npm")
    folder = tmp_path_factory.mktemp("site")
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", "onnxruntime-web@1"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"onnxruntime-web could not be had from npm: {done.stderr[-200:]}")
    (folder / "index.html").write_text(PAGE)
    for kept in KEPT.glob("exported-*"):
        shutil.copytree(kept, folder / kept.name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_graphs_give_the_same_numbers_in_a_browser(site: str) -> None:
    with browser() as driver:
        driver.set_script_timeout(300)
        for family in ("textcnn", "lstm", "bert"):
            predictor = OnnxPredictor.load(KEPT / f"exported-{family}", 1)
            ids, words = predictor.tokens(TEXTS).rows(np.arange(2))
            chosen = np.array([-1, 0])
            driver.get(f"{site}/index.html")
            given = [x.ravel().tolist() for x in (ids, words, chosen)]
            found = driver.execute_async_script(RUN, f"/exported-{family}", WEIGHTS, *given, list(ids.shape))
            assert isinstance(found, dict), f"{family}, {GRADIENT}: {found}"
            expected = predictor.run_gradient(ids, words, chosen)
            assert set(found) == set(expected)
            for name, (shape, numbers) in found.items():
                np.testing.assert_allclose(
                    np.reshape(numbers, shape), expected[name], rtol=1e-3, atol=1e-4, err_msg=f"{family} {name}"
                )
