"""A client of the HTTP service, with typed results. The standard library alone."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class ServiceError(Exception):
    """The service refused a request, or does not answer. status: HTTP's, 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message if not status else f"{message} (status {status})")
        self.status = status


@dataclass(frozen=True)
class ModelIdentity:
    """The model that answered. name, version, alias: None where it did not come from a registry."""

    id: str
    name: str | None
    version: str | None
    alias: str | None


@dataclass(frozen=True)
class Prediction:
    """confidence: the label's probability. truncated: words beyond the model's length, which it never saw."""

    label: str
    confidence: float
    probabilities: dict[str, float]
    truncated: int
    model: ModelIdentity


@dataclass(frozen=True)
class Word:
    """A word, where it stands in the text (end exclusive), its saliency, and whether the model knows it."""

    word: str
    start: int
    end: int
    saliency: float
    known: bool = True


@dataclass(frozen=True)
class Step:
    """removed: the index of the word that went. confidence: in the target, from then on; label: the predicted one."""

    removed: int
    word: str
    confidence: float
    label: str


@dataclass(frozen=True)
class Curve:
    """flips_at: after how many removals the prediction changes, None if it never does; flips_to: to which class."""

    steps: list[Step]
    flips_at: int | None
    flips_to: str | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a text got its label.

    Attributes:
        text: as it was sent.
        words: with their places in the text and their saliency.
        truncated: words beyond the model's length, which it never saw.
        label: the predicted class.
        confidence: its probability.
        probabilities: of every class.
        target: the class explained.
        target_confidence: its probability.
        important: what happens as the most salient words go.
        unimportant: what happens as the least salient words go.
        metrics: comp, suff, ir, ur and the like of this text.
        pathology: the reasons of a pathological verdict; empty for others.
        model: the one that answered.
        verdict: healthy, pathological or undecided.
        reasons: what the curves show.
        controls: comp_random, margin, win and the like of this text, where they were asked for.
        saliency_name: which saliency the numbers are; empty from a service that does not say it, as the next two.
        signed: whether numbers below 0 are evidence against the target.
        saliency_reason: why this saliency was taken.
    """

    text: str
    words: list[Word]
    truncated: int
    label: str
    confidence: float
    probabilities: dict[str, float]
    target: str
    target_confidence: float
    important: Curve
    unimportant: Curve
    metrics: dict[str, float | None]
    pathology: list[str]
    model: ModelIdentity
    verdict: str = ""
    reasons: list[str] = field(default_factory=list)
    controls: dict[str, float | None] = field(default_factory=dict)
    saliency_name: str = ""
    signed: bool = False
    saliency_reason: str = ""

    @property
    def saliency(self) -> list[float]:
        """One number a word."""
        return [w.saliency for w in self.words]


class Client:
    """Asks a service that `pct serve` started. One connection, kept open; not for several threads at once.

    Args:
        url: where the service answers.
        token: PCT_TOKEN where None.
        timeout: seconds to wait for an answer.

    Raises:
        ValueError: the url is none.

    Example:
        with Client("http://127.0.0.1:3000") as client:
            (found,) = client.explain(["a moving film"])
            print(found.label, found.saliency)
    """

    def __init__(self, url: str = "http://127.0.0.1:3000", token: str | None = None, timeout: float = 60) -> None:
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ValueError(f"the service's address must be like http://127.0.0.1:3000, got {url!r}")
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(place.hostname, place.port, timeout=timeout)
        self._url, self._root = url, place.path.rstrip("/")
        token = os.environ.get("PCT_TOKEN", "") if token is None else token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(self, texts: Sequence[str], model: str | None = None) -> list[Prediction]:
        """A prediction a text. Raises `ServiceError`."""
        answer = self._ask("/predict", {"texts": list(texts), "model": model})
        by = _only(ModelIdentity, answer["model"])
        return [Prediction(**_known(Prediction, p), model=by) for p in answer["predictions"]]

    def explain(
        self,
        texts: Sequence[str],
        max_steps: int | None = None,
        order: str = "static",
        target: str | None = None,
        saliency: str | None = None,
        model: str | None = None,
        controls: bool | Sequence[str] = False,
    ) -> list[Explanation]:
        """An explanation a text.

        max_steps: words removed at most on each side, 15 where None. target: the label explained, the predicted one
        where None. saliency: one that `model()` lists for the model; where None, the one that an audit found best, else
        the best for models of its kind. controls: metrics such as margin, by name, or True for all but the dearest.
        Raises `ServiceError`.
        """
        asked = {
            "texts": list(texts), "max_steps": max_steps, "order": order, "target": target, "saliency": saliency,
            "model": model, **({"controls": _sent(controls)} if controls else {}),
        }  # fmt: skip
        answer = self._ask("/explain", asked)
        by = _only(ModelIdentity, answer["model"])
        how = {
            "saliency_name": answer.get("saliency", ""), "signed": answer.get("signed", False),
            "saliency_reason": answer.get("saliency_reason", ""),
        }  # fmt: skip
        return [_explanation({**found, **how}, by) for found in answer["explanations"]]

    def model(self) -> dict[str, Any]:
        """The served models with their figures, saliencies and audits, and the limits of a request.

        Raises `ServiceError`.
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
        said = answer.get("error") if isinstance(answer, dict) else None
        raise ServiceError(status, said or f"{self._url}{path} answered with {text[:80]!r}")

    def _send(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        for attempt in (1, 2):
            fresh = self._connection.sock is None
            try:
                self._connection.request("GET" if body is None else "POST", path, body, headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as problem:
                self._connection.close()
                # the service may close a connection that was idle; asking twice does no harm, for it keeps nothing
                if fresh or attempt == 2 or isinstance(problem, TimeoutError):
                    raise ServiceError(
                        0, f"{self._url} does not answer: {problem or type(problem).__name__}"
                    ) from problem
        raise AssertionError("unreachable")


def _sent(controls: bool | Sequence[str]) -> bool | list[str]:
    return controls if isinstance(controls, bool) else list(controls)


def _explanation(found: dict[str, Any], by: ModelIdentity) -> Explanation:
    sides = {
        side: Curve(
            [_only(Step, s) for s in found[side]["steps"]], found[side]["flips_at"], found[side].get("flips_to")
        )
        for side in ("important", "unimportant")
    }
    words = [_only(Word, w) for w in found["words"]]
    parts = {"words": words, **sides, "pathology": found["pathology"]["reasons"], "model": by}
    parts["controls"] = found.get("controls") or {}
    if "verdict" in found:
        parts |= {"verdict": found["verdict"]["kind"], "reasons": found["verdict"]["reasons"]}
    return Explanation(**{**_known(Explanation, found), **parts})


def _known(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The fields that this version knows: a later service may say more."""
    return {f.name: found[f.name] for f in fields(kind) if f.name in found}


def _only(kind: Any, found: dict[str, Any]) -> Any:
    return kind(**_known(kind, found))
