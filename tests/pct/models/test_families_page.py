"""docs/reference/families.md holds the table that the tests of the families vouch for."""

import re

from tests.pct.models.families import table
from tests.project import REPOSITORY


def test_the_table_of_the_page_is_the_one_that_the_tests_make():
    page = (REPOSITORY / "docs" / "reference" / "families.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^\| family .*?(?=\n\n|\Z)", page, re.M | re.S)
    assert found.strip() == table(), "python -m tests.pct.models.families prints the table anew"
