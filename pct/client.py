"""A client of the HTTP service. Its results are the library's `Prediction` and `Explanation`. It needs no torch."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from pct.explaining.explanation import Curve, Explanation
from pct.explaining.explanations import Explanations
from pct.explaining.prediction import ModelIdentity, Prediction, Predictions
from pct.text.words import is_pair

__all__ = ["Client", "Curve", "Explanation", "ModelIdentity", "Prediction", "ServiceError"]


class ServiceError(Exception):
    """The service rejected a request, or does not answer. status: the HTTP status, 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message if not status else f"{message} (status {status})")
        self.status = status


class Client:
    """A client of a service that `pct serve` started. It keeps one connection open; threads must not share it.

    Args:
        url: the address of the service.
        token: the bearer token, without the white space around it; if None, the variable PCT_TOKEN.
        timeout: seconds to wait for an answer.

    Raises:
        ValueError: the url is not an HTTP URL.

    Example:
        with Client("http://127.0.0.1:3000") as client:
            (explanation,) = client.explain(["a moving film"])
            print(explanation.predicted, explanation.words, explanation.saliency)
    """

    def __init__(self, url: str = "http://127.0.0.1:3000", token: str | None = None, timeout: float = 60) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"the address of the service must be like http://127.0.0.1:3000, got {url!r}")
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = connect(address.hostname, address.port, timeout=timeout)
        self._url, self._root = url, address.path.rstrip("/")
        token = (os.environ.get("PCT_TOKEN", "") if token is None else token).strip()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(self, texts: Sequence[str | tuple[str, str]], model: str | None = None) -> Predictions:
        """The predicted class of each text.

        Args:
            texts: strings, or pairs of texts as tuples of two.
            model: the id of a served model; the first one if None.

        Raises:
            ServiceError: the service refused the request, or does not answer.
            TypeError: a text instead of a list of texts.
        """
        sent = _sent(texts)
        answer = self._ask("/predict", {"texts": sent, "model": model})
        identity = _identity(answer)
        return Predictions(
            Prediction.from_dict(p, text, identity) for text, p in zip(texts, answer["predictions"], strict=True)
        )

    def explain(
        self,
        texts: Sequence[str | tuple[str, str]],
        max_steps: int | None = None,
        order: str = "static",
        target: str | Sequence[str] | None = None,
        saliency: str | None = None,
        model: str | None = None,
        controls: bool | Sequence[str] = False,
        remove: str | None = None,
    ) -> Explanations:
        """An explanation of each text, as by `pct.explain`.

        Args:
            texts: strings, or pairs of texts as tuples of two.
            max_steps: the largest number of words to remove on each side; 15 if None.
            order: `static` ranks the words once, `recomputed` again after each removal.
            target: the name of the class to explain; the predicted one if None. Of several labels also a list of
                names; each assigned label, or the most probable one, if None.
            saliency: one that `model()` lists for the model; if None, the best one of an audit of the model, else the
                best one for models of its kind.
            model: the id of a served model; the first one if None.
            controls: metrics such as margin, by name; True for all but the most expensive ones.
            remove: of pairs: whose words are ranked and removed, first, second or both; None takes that of the model's
                settings, by default both.

        Raises:
            ServiceError: the service refused the request, or does not answer.
            TypeError: a text instead of a list of texts.
        """
        request = {
            "texts": _sent(texts), "max_steps": max_steps, "order": order, "saliency": saliency, "model": model,
            "target": list(target) if isinstance(target, (list, tuple)) else target,
        }  # fmt: skip
        if remove:
            request["remove"] = remove
        if controls:
            request["controls"] = True if controls is True else list(controls)
        answer = self._ask("/explain", request)
        shared = {"saliency_name": answer.get("saliency", ""), "saliency_reason": answer.get("saliency_reason", "")}
        identity = _identity(answer)
        return Explanations(Explanation.from_dict({**shared, **one}, identity) for one in answer["explanations"])

    def model(self) -> dict[str, Any]:
        """The served models with their metrics, saliencies and audits, and the limits of a request.

        Raises:
            ServiceError: the service refused the request, or does not answer.
        """
        return self._ask("/model", None)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        status, text = self._send(self._root + path, None if body is None else json.dumps(body).encode())
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        raise ServiceError(status, error or f"{self._url}{path} answered with {text[:80]!r}")

    def _send(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        fresh = self._connection.sock is None
        try:
            self._connection.request("GET" if body is None else "POST", path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            # the service may have closed an idle connection; it keeps no state, so a second request is safe
            if not fresh and not isinstance(problem, TimeoutError):
                return self._send(path, body)
            raise ServiceError(0, f"{self._url} does not answer: {problem or type(problem).__name__}") from problem


def _sent(texts: Sequence[str | tuple[str, str]]) -> list[Any]:
    """Texts as the service takes them. Raises TypeError for a single text: it is a sequence, too."""
    if isinstance(texts, str) or is_pair(texts):
        raise TypeError(f"the texts are a list: give [{texts!r}]")
    return [dict(zip(("text", "text_pair"), x, strict=True)) if is_pair(x) else x for x in texts]


def _identity(answer: dict[str, Any]) -> ModelIdentity:
    """The model of an answer. Fields that a later service adds are ignored."""
    model = answer["model"]
    return ModelIdentity(model["id"], model["name"], model["version"], model["alias"])
