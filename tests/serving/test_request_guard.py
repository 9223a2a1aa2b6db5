"""What the guard refuses, with which status and sentence, and that it lets everything else through unchanged."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pct.client import Client
from serving import host_check
from serving.limits import Limits
from serving.request_guard import RequestGuard, holds_more_values, read_request
from serving.schema import REQUEST, ExplainRequest, PredictRequest

GOOD = b'{"texts": ["a moving film"]}'
LIMITS = Limits(body_bytes=200, seconds=0.2, queue=2)


@pytest.fixture(autouse=True)
def _refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_check, "SECONDS_TO_REFUSE", 0.0)


class Inner:
    """The application behind; answers when it is let go, and keeps the requests that it got."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(scope.get(REQUEST))
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def guarded(inner: Inner, token: str = "", limits: Limits = LIMITS) -> RequestGuard:
    requests = {"/predict": PredictRequest, "/explain": ExplainRequest}
    return RequestGuard(inner, requests, frozenset({"/model"}), limits, token)


async def ask(
    guard: RequestGuard, body: bytes | list[bytes] = GOOD, path: str = "/predict", method: str = "POST",
    pause: float = 0, **headers: str,
) -> tuple[int, Any, dict[bytes, bytes]]:  # fmt: skip
    """Status, error and headers of an answer. pause: seconds before each part of the body."""
    given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    parts = body if isinstance(body, list) else [body]
    sent: list[Any] = []

    async def pieces() -> AsyncIterator[Any]:
        for number, part in enumerate(parts):
            await asyncio.sleep(pause)
            yield {"type": "http.request", "body": part, "more_body": number < len(parts) - 1}
        yield {"type": "http.disconnect"}

    source = pieces()

    async def receive() -> Any:
        return await anext(source)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path,
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()],
    }  # fmt: skip
    await guard(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]).get("error", ""), dict(sent[0]["headers"])


def stalled(size: int) -> tuple[Any, Any, Any]:
    """A request of whose body a part comes at once, and no more."""
    parts = [{"type": "http.request", "body": b" " * size, "more_body": True}]

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        pass

    headers = [(b"content-type", b"application/json")]
    return {"type": "http", "method": "POST", "path": "/predict", "headers": headers}, receive, send


def once(
    *arguments: Any, token: str = "", limits: Limits = LIMITS, **named: Any
) -> tuple[int, Any, dict[bytes, bytes], list[Any]]:
    async def run() -> Any:
        inner = Inner()
        return (*await ask(guarded(inner, token, limits), *arguments, **named), inner.requests)

    return asyncio.run(run())


def invalid(model: type[ExplainRequest] | type[PredictRequest], body: bytes, most_texts: int) -> str:
    """The message of a body's refusal."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        read_request(model, body, most_texts)
    return str(refused.value)


def test_a_good_request_arrives_validated():
    expected = PredictRequest(texts=["a moving film"])
    status, _, _, requests = once(GOOD, content_type="application/json; charset=utf-8")
    assert (status, requests) == (200, [expected])
    assert once([GOOD[:9], GOOD[9:]])[3] == [expected]
    tricky = ['a: \\", "b": c', '"texts": \\']
    assert once(json.dumps({"texts": tricky, "order": "static"}).encode(), "/explain", limits=Limits())[3] == [
        ExplainRequest(texts=tricky, order="static")
    ]


def test_a_body_is_parsed_once(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a second parser")

    monkeypatch.setattr(json, "loads", refuse)
    assert read_request(PredictRequest, GOOD, 64) == PredictRequest(texts=["a moving film"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "invalid JSON"), (b"not json", "invalid JSON"), (b'{"texts": ["a"]', "invalid JSON"),
        (b"[]", "must be an object"), (b"{}", "texts: field required"),
        (b'{"texts": "a"}', "texts: input should be a valid list"), (b'{"texts": []}', "at least 1 item"),
        (b'{"texts": [1]}', "texts.0: input should be a valid string"),
        (b'{"texts": [null]}', "texts.0: input should be a valid string"),
        (b'{"texts": ["a", ""]}', "texts.1: string should have at least 1 character"),
        (b'{"texts": ["a"], "txts": 1}', "txts: extra inputs are not permitted"),
        (b'{"texts": ["\\ud800"]}', "invalid JSON"), (b'\xef\xbb\xbf{"texts": ["a"]}', "invalid JSON"),
        (b'{"texts": ["a"], "texts": ["b"]}', "texts: it stands twice"),
        (b'{"texts": {"a": "b"}}', "texts: input should be a valid list"), (b'{"texts": ["\xff"]}', "invalid"),
        (b'{"texts": ' + b"[" * 90 + b"]" * 90 + b"}", "texts"),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_in_words_and_goes_no_further(body, message):
    status, error, _, requests = once(body)
    assert (status, requests) == (400, [])
    assert message in error


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_steps", "-1"), ("max_steps", '"3"'), ("max_steps", "1.5"), ("max_steps", "true"), ("order", '"x"'),
     ("saliency", "1"), ("target", "0"), ("model", "1"), ("max_steps", "1e400"), ("controls", "1"),
     ("controls", "null"), ("controls.0", '["acc"]'), ("controls", "[" + '"win",' * 12 + "1]")],
)  # fmt: skip
def test_a_bad_choice_is_refused_by_its_name(field, value):
    status, error, _, requests = once(b'{"texts": ["a"], "%s": %s}' % (field.encode(), value.encode()), "/explain")
    assert (status, requests) == (400, [])
    assert error.startswith(f"{field}: ")


def test_lengths_come_first_and_the_first_mistake_alone_is_told():
    limits = Limits(texts=64)
    one = b"[%s]" % b",".join([b"1"] * 64)
    assert invalid(PredictRequest, b'{"texts": %s}' % one, limits.texts) == "texts.0: input should be a valid string"
    many = b'{"texts": [%s]}' % b",".join([b"1"] * 1000)
    assert invalid(PredictRequest, many, limits.texts) == "1000 texts in one request; send at most 64"
    many = b'{"texts": [%s]}' % b",".join([b"1"] * 520_000)
    assert invalid(PredictRequest, many, limits.texts) == (
        "more than 2064 values in one request; send at most 64 texts"
    )
    names = b'{"texts": ["a"], %s}' % b",".join(b'"k%d": 1' % n for n in range(500))
    assert invalid(PredictRequest, names, limits.texts) == "k0: extra inputs are not permitted"


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": [%s]}' % b",".join([b"1"] * 520_000), b'{"texts": [%s]}' % b",".join([b"[]"] * 300_000),
        b'{"texts": [%s]}' % b",".join([b'""'] * 340_000), b"{%s}" % b",".join([b'"texts": ["a"]'] * 60_000),
        b'{"texts": ["a"], %s}' % b",".join(b'"k%d": 1' % n for n in range(80_000)),
        b'{"texts": ["a"], "max_steps": %s}' % (b"9" * 1_000_000), b'{"texts": %s}' % (b"[" * 500_000),
        b'{"texts": {%s}}' % b",".join(b'"k%d": 1' % n for n in range(80_000)),
    ],
)  # fmt: skip
def test_a_body_of_a_megabyte_is_refused_in_little_memory(body):
    tracemalloc.start()
    try:
        assert invalid(ExplainRequest, body, 64)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


CHARACTERS = st.text(',"\\[{:é')


def written(value: Any) -> list[bytes]:
    return [json.dumps(value, ensure_ascii=ascii_alone).encode() for ascii_alone in (True, False)]


@given(st.lists(CHARACTERS), st.integers(1, 20))
def test_texts_are_counted_whatever_stands_in_them(texts, most):
    for body in written({"texts": texts, "model": ",,,"}):
        assert holds_more_values(body, most) == (max(len(texts), 1) >= most)


NESTED = st.recursive(CHARACTERS | st.none(), lambda v: st.lists(v) | st.dictionaries(CHARACTERS, v), max_leaves=30)


@given(NESTED, st.integers(1, 40))
def test_no_value_goes_uncounted(value, most):
    def commas(value):
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return max(len(inner) - 1, 0) + sum(map(commas, inner))

    for body in written(value):
        assert holds_more_values(body, most) or commas(value) < most


def test_a_name_that_stands_twice_is_refused():
    assert once(b'{"texts": ["a"], "texts": ["b"]}')[:2] == (400, "texts: it stands twice in one object; send it once")
    assert once(b'{"texts": ["a"], "\\u0074exts": ["b"]}')[0] == 400
    assert once(b'{"texts": ["texts", "texts"]}')[0] == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "multipart/form-data; boundary=x", "application/vnd.bentoml+pickle"]
)
def test_only_json_is_taken(kind):
    status, error, _, requests = once(GOOD, content_type=kind)
    assert (status, requests) == (415, [])
    assert "application/json" in error


def test_a_body_beyond_the_limit_is_refused_by_what_it_announces_and_by_what_it_is():
    for announced in ({"content_length": str(2**30)}, {"content_length": "1000", "expect": "100-continue"}):
        status, error, headers, requests = once([GOOD, GOOD], pause=9, **announced)
        assert (status, requests) == (413, [])
        assert "200 bytes" in error
        assert headers[b"connection"] == b"close"
    assert once([b" " * 150] * 3)[0] == 413
    assert once([b" " * 150] * 3, content_length="10")[0] == 413
    assert once([b" " * 2**20] * 40, content_length="1000")[0] == 413


def test_a_body_that_does_not_arrive_is_given_up():
    status, error, _, requests = once([GOOD[:5], GOOD[5:]], pause=0.15)
    assert (status, requests) == (408, [])
    assert "0.2 seconds" in error


def test_bodies_that_do_not_come_to_an_end_keep_nobody_waiting():
    async def run():
        guard = guarded(Inner(), limits=Limits(body_bytes=200, seconds=0.4, queue=2))
        stalled = [asyncio.create_task(ask(guard, [GOOD[:-3], GOOD[-3:]], pause=0.3)) for _ in range(64)]
        await asyncio.sleep(0.02)
        assert [(await ask(guard))[0] for _ in range(8)] == [200] * 8
        assert {status for status, _, _ in await asyncio.gather(*stalled)} == {408}

    asyncio.run(run())


def test_of_the_bodies_that_fill_the_memory_the_oldest_are_given_up():
    async def run():
        guard = guarded(Inner(), limits=Limits(body_bytes=200, seconds=5, queue=2))
        # each has sent 150 bytes of more, of 400 that are held at once
        slow = [asyncio.create_task(ask(guard, [b" " * 150, b" " * 9 + GOOD], pause=0.1 + n / 50)) for n in range(4)]
        done = [status for status, _, _ in await asyncio.gather(*slow)]
        assert done == [408, 408, 200, 200]
        assert guard.memory.bytes == 0

    asyncio.run(run())


def test_a_body_that_comes_quickly_gets_in_among_many_that_do_not():
    async def run():
        guard = guarded(Inner(), limits=Limits(body_bytes=200, seconds=30, queue=2))
        slow = [asyncio.create_task(guard(*stalled(150))) for _ in range(12)]
        await asyncio.sleep(0.01)
        assert (await ask(guard, [b" " * 150, GOOD]))[0] == 200
        assert guard.memory.bytes <= 2 * guard.memory.most
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert guard.memory.bytes == 0

    asyncio.run(run())


def test_a_failure_behind_the_guard_goes_through_it():
    async def run():
        async def failing(scope, receive, send):
            raise ZeroDivisionError

        guard = guarded(Inner())
        guard.app = failing
        with pytest.raises(ZeroDivisionError):
            await ask(guard)

    asyncio.run(run())


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer secretx", "Bearer s\xff"]
)
def test_a_wrong_token_is_refused_before_the_body_is_read(given):
    for path, method in (("/predict", "POST"), ("/explain", "POST"), ("/model", "GET")):
        status, error, headers, requests = once(GOOD, path, method, token="secret", authorization=given)
        assert (status, requests) == (401, [])
        assert headers[b"www-authenticate"] == b"Bearer"
        assert "secret" not in error


def test_a_token_from_a_file_that_ends_in_a_line_feed_is_that_of_service_and_client():
    assert once(GOOD, token="secret\n", authorization="Bearer secret")[0] == 200
    assert Client(token="secret\n")._headers == {"Authorization": "Bearer secret"}
    with pytest.raises(ValueError, match="PCT_TOKEN is blank: give it a token, or unset it"):
        guarded(Inner(), token="\n")


def test_the_right_token_is_let_through_and_the_page_and_health_need_none():
    assert once(GOOD, token="secret", authorization="Bearer secret")[0] == 200
    assert once(GOOD, token="secret", authorization="bearer secret")[0] == 200
    for path in ("/", "/readyz", "/metrics", "/page.js"):
        assert once(b"", path, "GET", token="secret")[0] == 200


def test_limits_come_from_the_environment_and_are_checked(monkeypatch):
    monkeypatch.setenv("PCT_SERVE_TEXTS", "3")
    monkeypatch.setenv("PCT_SERVE_SECONDS", "0.5")
    assert Limits.from_environment() == Limits(texts=3, seconds=0.5)
    monkeypatch.setenv("PCT_SERVE_QUEUE", "many")
    with pytest.raises(ValueError, match="PCT_SERVE_QUEUE must be a number"):
        Limits.from_environment()
    with pytest.raises(ValueError, match="PCT_SERVE_TEXTS must be > 0 and finite, got 0"):
        Limits(texts=0)
    for seconds in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match=f"PCT_SERVE_SECONDS must be > 0 and finite, got {seconds}"):
            Limits(seconds=seconds)


@pytest.mark.parametrize(("status", "delayed"), [(404, True), (421, True), (400, True), (503, False), (408, False)])
def test_who_asks_wrongly_hears_it_a_little_later_and_who_shall_come_again_at_once(status, delayed, monkeypatch):
    events: list[Any] = []

    async def sleep(seconds):
        events.append(seconds)

    async def send(message):
        events.append(message["type"])

    monkeypatch.setattr(host_check, "SECONDS_TO_REFUSE", 0.05)
    monkeypatch.setattr(host_check.asyncio, "sleep", sleep)
    asyncio.run(host_check.refuse(send, status, "no"))
    assert events == [0.05] * delayed + ["http.response.start", "http.response.body"]
