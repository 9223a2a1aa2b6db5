"""Files of any length: whole parts, a job that goes on after a kill, a join that keeps the order."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pct.output.bulk import JsonLines, Parquet, parts_folder, run_job
from pct.output.page import Html, article_row
from pct.output.workers import Workers

SCHEMA = pa.schema([("row", pa.int64()), ("gap", pa.float64())])
PIECES = [[0, 1, 2], [3, 4, 5], [6]]


HERE = Workers(None)


def rows(_, piece):
    return [{"row": n, "gap": None if n < 3 else n / 10} for n in piece]


class Killed(BaseException):
    """As a signal ends a process, between any two lines."""


def lines(path):
    return [json.loads(x) for x in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_job_that_is_killed_goes_on_without_a_text_lost_or_doubled(kind, tmp_path):
    format_ = {"jsonl": JsonLines(), "parquet": Parquet(SCHEMA)}[kind]
    output, worked = tmp_path / f"out.{kind}", []

    def work(_, piece):
        if piece == [3, 4, 5] and [3, 4, 5] not in worked:
            worked.append(piece)
            raise Killed
        worked.append(piece)
        return rows(_, piece)

    with pytest.raises(Killed):
        run_job(PIECES, work, output, format_, {"data": "a"}, HERE)
    assert not output.exists()
    seen = []
    assert run_job(PIECES, work, output, format_, {"data": "a"}, HERE, lambda n, before: seen.append((n, before))) == 7
    assert worked == [[0, 1, 2], [3, 4, 5], [3, 4, 5], [6]]  # the first part was not worked on again
    assert seen == [(3, True), (3, False), (1, False)]
    actual = lines(output) if kind == "jsonl" else pq.read_table(output).to_pylist()
    assert actual == rows(None, range(7))
    assert not parts_folder(output).exists()


def test_a_part_that_was_half_written_is_written_again(tmp_path):
    class Torn(JsonLines):
        def write(self, some, part):
            part.write_text('{"row": 0}\n{"ro')
            raise Killed

    with pytest.raises(Killed):
        run_job(PIECES, rows, tmp_path / "out.jsonl", Torn(), {}, HERE)
    run_job(PIECES, rows, tmp_path / "out.jsonl", JsonLines(), {}, HERE)
    assert [r["row"] for r in lines(tmp_path / "out.jsonl")] == list(range(7))


def test_the_parts_of_another_job_are_not_taken(tmp_path):
    def stop(_, piece):
        if piece == PIECES[1]:
            raise Killed
        return rows(_, piece)

    with pytest.raises(Killed):
        run_job(PIECES, stop, tmp_path / "out.jsonl", JsonLines(), {"data": "a", "model": "m"}, HERE)
    with pytest.raises(ValueError, match=r"differs in data\); finish that one, remove the folder"):
        run_job(PIECES, rows, tmp_path / "out.jsonl", JsonLines(), {"data": "b", "model": "m"}, HERE)


def test_an_earlier_result_stays_until_the_new_one_is_whole(tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("before")

    def stop(_, piece):
        raise Killed

    with pytest.raises(Killed):
        run_job(PIECES, stop, output, JsonLines(), {}, HERE)
    assert output.read_text() == "before"


def article(n, verdict, gap, right=None):
    html = f'<article><p class="words">text {n} &lt;b&gt;</p></article>'
    return article_row(html, n, verdict, "a" if n % 2 else "<b>", 0.5, right, gap)


def test_a_page_has_the_most_pathological_first_and_says_what_it_leaves_out(tmp_path):
    pieces = [
        [article(0, "healthy", 0.3), article(1, "pathological", -0.1, True), article(2, "undecided", float("nan"))],
        [article(3, "pathological", -0.4, False), article(4, "healthy", 0.1)],
    ]
    output = tmp_path / "out.html"
    run_job(pieces, lambda _, piece: piece, output, Html("A <title>", "<small>legend</small>", most=3), {}, HERE)
    page = output.read_text(encoding="utf-8")
    assert [page.index(f"text {n} &lt;b&gt;") for n in (3, 1, 2)] == sorted(page.index(f"text {n} ") for n in (3, 1, 2))
    assert "text 0" not in page
    assert "5 texts: 2 pathological, 1 undecided, 2 healthy. The 3 most pathological are shown." in page
    assert 'data-right="wrong"' in page
    pairs = [article(row, "healthy", 0.1) for row in (0, 0, 1)]  # of several labels a text has an explanation for each
    run_job([pairs], lambda _, piece: piece, output, Html("title", ""), {}, HERE)
    assert "2 texts, 3 explanations: 0 pathological, 0 undecided, 3 healthy." in output.read_text(encoding="utf-8")
    assert "A &lt;title&gt;" in page
    assert '<option value="&lt;b&gt;">' in page
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is fetched
