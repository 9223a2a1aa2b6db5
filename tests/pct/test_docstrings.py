"""Public names are documented in Google style: the reference is made from their docstrings."""

import inspect
import re

import pytest

import pct

FUNCTIONS = [name for name in pct.__all__ if inspect.isfunction(getattr(pct, name))]


@pytest.mark.parametrize("name", pct.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    assert re.match(r"\S.*\.$", (inspect.getdoc(getattr(pct, name)) or "").split("\n\n")[0], re.S)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_describes_each_of_its_arguments(name: str) -> None:
    function = getattr(pct, name)
    (described,) = re.findall(r"^Args:\n(.*?)(?=^\S|\Z)", inspect.getdoc(function) or "", re.M | re.S)
    names = re.findall(r"^    \*{0,2}(\w+):", described, re.M)
    assert names == list(inspect.signature(function).parameters)
