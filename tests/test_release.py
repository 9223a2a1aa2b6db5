"""What a release consists of: one version, and wheels that work where there is no checkout."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pct
from tests.project import REPOSITORY, clone
from tests.serving.conftest import exported, serving  # noqa: F401  two exported models
from tests.waiting import free_port

TEXT = "Despite its slow start, the film is brilliant."


def run(command: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    """A command outside of the checkout, which must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of pct-explain-core and pct-explain, built from a copy of the repository."""
    folder = tmp_path_factory.mktemp("wheels")
    copy = clone(tmp_path_factory.mktemp("source") / "pct")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    for source in (copy, copy / "packaging" / "pct-explain"):
        run([*pip, str(folder), str(source)])
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a fresh environment that can install from an index."""
    python = tmp_path / "environment" / "bin" / "python"
    run([sys.executable, "-m", "venv", str(tmp_path / "environment")])
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "numpy"]
    probe = subprocess.run(command, capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no package index can be reached: {probe.stderr.strip().splitlines()[-1]}")
    return python


def install(python: Path, wheels: Path, what: str) -> None:
    """Installs by pip, in the locked versions."""
    locked = wheels / "constraints.txt"
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked.write_text("\n".join(re.sub(r"\[.*?\]", "", line) for line in lines), encoding="utf-8")
    run([str(python), "-m", "pip", "install", "--quiet", "--find-links", str(wheels), "-c", str(locked), what])


def test_the_citation_and_the_changelog_name_the_version():
    assert f"\nversion: {pct.__version__}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{pct.__version__}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pct.__version__"}


def test_what_serves_needs_no_torch_and_the_extras_that_need_it_bring_it():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def needs(requirements):
        names: set[str] = set()
        for requirement in requirements:
            name, own = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", requirement).groups()  # type: ignore[union-attr]
            names |= {name} if name != project["name"] else set()
            for extra in own.split(",") if own and name == project["name"] else []:
                names |= needs(extras[extra])
        return names

    assert not needs(project["dependencies"] + extras["serve"] + extras["data"]) & {"torch", "transformers", "mlflow"}
    assert all("torch" in needs(extras[name]) for name in set(extras) - {"serve", "data"})
    assert not re.search(r"^(torch|transformers|mlflow)\b", (REPOSITORY / "requirements-serve.lock").read_text(), re.M)


def test_locks_name_versions_and_hashes_and_no_place():
    for lock in REPOSITORY.glob("*.lock"):
        text = lock.read_text(encoding="utf-8")
        requirements = re.findall(r"^\S.*(?:\n .*)*", text, re.M)
        assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!]+( ;[^\\\n]*)?( \\|$)", each) for each in requirements), lock
        assert "://" not in text
        if not re.search("^torch==", text, re.M):
            assert all("--hash=sha256:" in each for each in requirements), lock


def test_the_pythons_that_are_tested_are_those_that_are_promised():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = (REPOSITORY / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', workflow) == promised


@pytest.mark.slow
@pytest.mark.timeout(3600)  # it installs everything anew
def test_the_wheel_trains_and_explains_without_the_checkout(wheels, environment, tmp_path):
    install(environment, wheels, "pct-explain[data]")
    command = [str(environment.with_name("pct"))]
    assert run([*command, "--version"]).stdout == f"pct {pct.__version__}\n"
    folder = str(tmp_path / "run")
    train = ["train", "--limit", "200", "--epochs", "1", "--quiet", "--run-dir", folder]
    assert "comp" in run([*command, *train], cwd=tmp_path).stdout
    assert "film" in run([*command, "explain", folder, TEXT], cwd=tmp_path).stdout
    where = run([str(environment), "-c", "import pct; print(pct.__file__)"], cwd=tmp_path).stdout
    assert str(tmp_path) in where


@pytest.mark.slow
@pytest.mark.timeout(3600)  # it installs everything anew
def test_the_wheel_serves_and_explains_without_torch(
    wheels,
    environment,
    exported,  # noqa: F811
    tmp_path,
):
    install(environment, wheels, "pct-explain-core[serve]")
    listed = run([str(environment), "-m", "pip", "list", "--format=freeze"]).stdout
    names = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert "bentoml" in names
    assert not names & {"torch", "transformers", "mlflow", "pct-explain"}
    with serving(tmp_path, str(exported["pct"]), python=environment, PYTHONPATH="") as running:
        assert running.ask("/explain", {"texts": [TEXT]})[0] == 200
        assert "<html" in running.ask("/")[1]
    explained = run([str(environment), "-m", "pct.cli", "explain", str(exported["pct"]), TEXT], cwd=tmp_path)
    assert "film" in explained.stdout
    command = [str(environment), "-m", "pct.cli", "serve", "models:/x@champion", "--port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "pip install 'pct-explain[tracking]'" in done.stderr
