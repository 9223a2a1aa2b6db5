"""Which hosts, paths and heads come in."""

import asyncio
import json
from typing import Any

import pytest

from serving.host_check import HostCheck


def enter(
    host: bytes | None = b"localhost:3000", path: str = "/predict", hosts: tuple[str, ...] = (), **more: Any
) -> Any:
    """Status and error of a request; 200 where it came in."""
    sent: list[Any] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if host is None else [(b"host", host)]
    scope = {"type": "http", "method": "POST", "path": path, "headers": [*headers, *more.pop("headers", [])], **more}
    paths = {"/predict": ("POST",), "/": ("GET", "HEAD")}
    asyncio.run(HostCheck(inside, paths, hosts, 1000)(scope, receive, send))
    if "status" not in sent[0]:
        return sent[0]["type"]
    return sent[0]["status"], json.loads(sent[1]["body"]).get("error", "")


@pytest.mark.parametrize(
    "host", b"localhost LOCALHOST:3000 localhost. 127.0.0.1:3000 127.9.9.9 [::1]:3000 [::1] 10.1.2.3:80".split()
)
def test_the_machines_own_names_and_addresses_come_in(host):
    assert enter(host)[0] == 200


FOREIGN = b"""attacker.example attacker.example:3000 localhost.attacker.example 127.0.0.1.attacker.example
localhost@attacker.example localhost:3000.attacker.example [::1].attacker.example [::1 0x7f.1""".split()


@pytest.mark.parametrize("host", [*FOREIGN, b"", b"\xff", None])
def test_other_names_do_not(host):
    status, error = enter(host)
    assert status == 421
    assert "--allow-host" in error


def test_a_name_that_is_allowed_comes_in_and_two_hosts_do_not():
    assert enter(b"reviews.example:443", hosts=("Reviews.Example",))[0] == 200
    assert enter(b"a.reviews.example", hosts=("reviews.example",))[0] == 421
    assert enter(b"any.example", hosts=("*",))[0] == 200
    assert enter(b"localhost", headers=[(b"host", b"attacker.example")])[0] == 421
    assert enter(b"", hosts=("",))[0] == 421


def test_a_path_that_there_is_not_goes_no_further():
    for path in ("/none", "/predict/", "/../secret", "", "//"):
        assert enter(path=path)[0] == 404


def test_a_method_that_a_path_does_not_take_goes_no_further():
    assert enter(method="GET") == (405, "/predict takes POST, not GET; see GET /docs")
    assert enter(method="DELETE", path="/") == (405, "/ takes GET or HEAD, not DELETE; see GET /docs")
    assert enter(method="HEAD", path="/")[0] == 200


def test_large_heads_are_refused():
    for large in ({"headers": [(b"x", b"y" * 1000)]}, {"query_string": b"y" * 1000}, {"headers": [(b"a", b"b")] * 500}):
        assert enter(**large)[0] == 431


def test_there_are_no_websockets():
    assert enter(type="websocket") == "websocket.close"
