"""Every registered architecture is taken, or refused in a line; the table of the page is what the walk gives."""

import re

import pytest

from tests.pct.models.architectures import architectures, table, verdict
from tests.project import REPOSITORY


def rows_of_the_page() -> dict[str, str]:
    page = (REPOSITORY / "docs" / "reference" / "families.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([\w-]+)` \w+ \| (.*) \|$", page, re.M))


@pytest.mark.slow
def test_every_registered_architecture_is_taken_or_refused_as_the_page_says():
    verdicts = {name: verdict(name) for name in architectures()}
    assert not [said for said in verdicts.values() if "\n" in said]
    wanted = "python -m tests.pct.models.architectures prints the table anew"
    assert verdicts == rows_of_the_page(), wanted
    assert sum(said == "yes" for said in verdicts.values()) > 100


@pytest.mark.parametrize("name", ["bert", "eurobert", "modernbert-decoder", "mbart", "fnet", "canine", "reformer"])
def test_the_page_s_row_is_what_the_architecture_gets(name):
    assert rows_of_the_page()[name] == verdict(name)


def test_the_table_has_a_row_for_each():
    assert table({"bert": "yes"}).splitlines()[-1] == "| `bert` BertForSequenceClassification | yes |"
