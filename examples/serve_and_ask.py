"""Serves a trained model on this machine, and asks it for an explanation as another program would.

python examples/serve_and_ask.py RUN            # a run's folder, an exported folder, or models:/NAME@champion
"""

import socket
import subprocess
import sys
import time

from pct.client import Client, ServiceError


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(client: Client, service: subprocess.Popen[bytes]) -> None:
    """Returns when the service answers; it has loaded the model by then."""
    while service.poll() is None:
        try:
            client.model()
            return
        except ServiceError:
            time.sleep(0.2)
    raise SystemExit("the service stopped at its start")


def main(model: str) -> None:
    """Starts `pct serve`, asks twice, and stops it."""
    port = free_port()
    service = subprocess.Popen([sys.executable, "-m", "pct.cli", "serve", model, "--port", str(port)])
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            wait_for(client, service)
            texts = ["Despite its slow start, the film is brilliant.", "A dull and lifeless comedy."]
            for text, prediction in zip(texts, client.predict(texts), strict=True):
                print(f"{prediction.label} ({prediction.confidence:.3f}): {text}")
            (why,) = client.explain(texts[:1], max_steps=5)
            print("saliency:", dict(zip(why.words, why.saliency.round(3).tolist(), strict=True)))
            print("the most salient words go:", [round(x, 3) for x in why.important.confidences])
            print("the least salient words go:", [round(x, 3) for x in why.unimportant.confidences])
            print(f"{why.verdict.kind}: {'; '.join(why.verdict.reasons)}")
    finally:
        service.terminate()
        service.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
