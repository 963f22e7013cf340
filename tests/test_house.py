"""The house keeps its floors, its front door stays small and quick, and its two lists of packages agree."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import evsim

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOUNDATION = {room.strip(" ()") for room in PROJECT["tool"]["importlinter"]["contracts"][0]["layers"][-1].split(":")}


def run(*command, cwd=ROOT):
    return subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False)


# ---------------------------------------------------------------- floors


LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


@pytest.fixture
def copy(tmp_path):
    """The house, copied, for those who want to break in."""
    shutil.copytree(ROOT / "evsim", tmp_path / "evsim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def complaint(house):
    said = run("-c", LINT, cwd=house)
    return re.sub(r"\s+", " ", said.stdout + said.stderr) if said.returncode else ""


def test_every_room_stands_on_the_floors_below_it():
    assert complaint(ROOT) == ""


@pytest.mark.parametrize(
    ("room", "line", "said"),
    [
        ("view/measures.py", "import evsim.sim.world", "evsim.view is not allowed to import evsim.sim"),
        ("sim/world.py", "import evsim.view.measures", "evsim.sim is not allowed to import evsim.view"),
        ("history.py", "import evsim.sim.world", "evsim.history is not allowed to import evsim.sim"),
        ("patterns/handler.py", "import evsim.lab.scenario", "evsim.patterns is not allowed to import evsim.lab"),
        ("history.py", "import simpy", "evsim is not allowed to import simpy"),
        ("sim/world.py", "import matplotlib.pyplot", "evsim is not allowed to import matplotlib"),
        ("attic.py", "", "evsim.attic"),
    ],
)
def test_a_room_that_reaches_too_high_is_named(copy, room, line, said):
    with (copy / "evsim" / room).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert said in complaint(copy)


NUMBERS_AND_VALUES = {"numpy", "pydantic", "pydantic_core"}


def foreign(source):
    """The packages that a room imports which are neither Python's nor ours."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names - {"evsim"}


def test_the_foundation_is_python_numpy_and_pydantic_only():
    rooms = [path for name in FOUNDATION if (path := ROOT / "evsim" / f"{name}.py").exists()]
    assert len(rooms) > 3
    found = {room.name: foreign(room.read_text(encoding="utf-8")) - NUMBERS_AND_VALUES for room in rooms}
    assert {name: packages for name, packages in found.items() if packages} == {}
    assert foreign("import json, yaml\ndef late():\n    from networkx import Graph\n") == {"yaml", "networkx"}


def front_door_names(source):
    """What a room takes from the front door: `import evsim`, or `from evsim import` anything but a room."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name == "evsim")
        elif isinstance(node, ast.ImportFrom) and node.module == "evsim":
            yield from (alias.name for alias in node.names if not list((ROOT / "evsim").glob(f"{alias.name}*")))


def test_only_the_roof_enters_by_the_front_door():
    """A room below that imports `evsim` itself would stand on the whole house."""
    roof = {"classroom", "cli.py", "live", "__main__.py"}
    rooms = [path for path in (ROOT / "evsim").rglob("*.py") if path.relative_to(ROOT / "evsim").parts[0] not in roof]
    entering = {str(room): [*front_door_names(room.read_text(encoding="utf-8"))] for room in rooms}
    assert {room: names for room, names in entering.items() if names} == {}
    assert [*front_door_names("import evsim as ev\nfrom evsim import Scenario, history")] == ["evsim", "Scenario"]


# ---------------------------------------------------------------- the front door


def test_the_front_door_has_at_most_thirty_names_and_each_leads_somewhere():
    assert len(evsim.__all__) <= 30
    assert len(set(evsim.__all__)) == len(evsim.__all__)
    for name in evsim.__all__:
        assert getattr(evsim, name) is not None


def test_the_front_door_is_quick_and_brings_nothing_heavy():
    """The best of three in fresh interpreters, so that a busy machine does not decide."""
    code = (
        "import time; start = time.perf_counter(); import evsim; took_s = time.perf_counter() - start\n"
        "import sys; heavy = {'matplotlib', 'pandas', 'IPython', 'ipykernel', 'jupyterlab', 'notebook', 'ipywidgets'}\n"
        "print(took_s, *sorted(heavy & set(sys.modules)))"
    )
    told = [run("-c", code).stdout.split() for _ in range(3)]
    assert min(float(took_s) for took_s, *_ in told) < 0.6
    assert [heavy for _, *heavy in told] == [[]] * 3


# ---------------------------------------------------------------- two lists of packages


CONDA_NAMES = {"matplotlib-base": "matplotlib"}


def bounds(requirements):
    pairs = [re.fullmatch(r"([\w.-]+)(.*)", requirement).groups() for requirement in requirements]
    return {CONDA_NAMES.get(name.lower(), name.lower()): bound.replace(" ", "") for name, bound in pairs}


def test_conda_and_pip_users_get_the_same_packages():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = bounds(entry for entry in listed if isinstance(entry, str) and entry != "pip")
    pip = {"python": PROJECT["project"]["requires-python"], **bounds(PROJECT["project"]["dependencies"])}
    assert conda == pip
    assert {"pip": ["--editable ."]} in listed


# ---------------------------------------------------------------- words


README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_python_in_the_readme_runs(snippet):
    done = run("-c", snippet)
    assert done.returncode == 0, done.stderr


def test_what_the_readme_points_to_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE))
    paths = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert {word for word in commands if not re.search(rf"^{word}:", makefile, re.MULTILINE)} == set()
    assert {path for path in paths if not (ROOT / path).exists()} == set()
