"""Keeping notebooks: run afresh, written in one normal form, the student's copy made from the solution, rules checked.

    python -m evsim.classroom.notebooks run          execute the solutions and the rest, make the students' copies
    python -m evsim.classroom.notebooks student      make the students' copies only
    python -m evsim.classroom.notebooks normalise    write in the one normal form, without running
    python -m evsim.classroom.notebooks check        say every rule that is broken

A notebook with exercises is written in ``notebooks/solutions/``; the one of the same name in ``notebooks/`` is made
from it. Two digits after the command choose one notebook: ``run 03``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat import from_dict, v4

Notebook = Any  # what nbformat gives: a dict that also answers to attributes
Cell = dict[str, Any]
Output = dict[str, Any]

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SHOWN = {"image/png": {"width", "height"}, "image/jpeg": {"width", "height"}}
"""What may stay of an output's metadata: the size of a picture."""

BYTES_MAX = 300_000
CELLS = range(25, 41)
WORDS = range(900, 1601)
LINES_MAX = 40
CODE_IN_A_ROW_MAX = 3
SECONDS_MAX = 20.0


# ---------------------------------------------------------------- one normal form


def read(path: Path) -> Notebook:
    """The notebook at ``path``."""
    return v4.reads(path.read_text(encoding="utf-8"))


def written(notebook: Notebook) -> str:
    """The text of the file, the same for the same notebook."""
    return v4.writes(notebook) + "\n"


def normalised(notebook: Notebook) -> Notebook:
    """The same notebook with nothing that depends on who ran it, when, or in which editor."""
    cells: list[Cell] = []
    count = 0
    for cell in notebook["cells"]:
        plain = {"cell_type": cell["cell_type"], "metadata": _tags(cell), "source": cell["source"].rstrip()}
        plain["id"] = _id(cell, {earlier["id"] for earlier in cells})
        if cell["cell_type"] == "code":
            ran = cell["execution_count"] is not None
            count += ran
            plain["execution_count"] = count if ran else None
            plain["outputs"] = [_plain(output, count) for output in _merged(cell["outputs"])]
        elif "attachments" in cell:
            plain["attachments"] = cell["attachments"]
        cells.append(plain)
    return from_dict({"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5})


def _tags(cell: Cell) -> dict[str, Any]:
    tags = sorted(set(cell["metadata"].get("tags", ())))
    return {"tags": tags} if tags else {}


def _id(cell: Cell, taken: set[str]) -> str:
    """The id the cell has, or one that its text gives it."""
    text, id_ = cell["source"], cell.get("id", "")
    while not id_ or id_ in taken:
        id_ = hashlib.sha256(text.encode()).hexdigest()[:8]
        text += "+"
    return str(id_)


def _merged(outputs: list[Output]) -> list[Output]:
    """Neighbouring prints are one output, however the kernel cut them."""
    merged: list[Output] = []
    for output in outputs:
        if merged and output["output_type"] == "stream" and merged[-1].get("name") == output["name"]:
            merged[-1] = {**merged[-1], "text": merged[-1]["text"] + output["text"]}
        else:
            merged.append(output)
    return merged


def _plain(output: Output, count: int) -> Output:
    plain = dict(output)
    if "metadata" in plain:
        kept = {kind: {k: v for k, v in plain["metadata"].get(kind, {}).items() if k in SHOWN[kind]} for kind in SHOWN}
        plain["metadata"] = {kind: sizes for kind, sizes in kept.items() if sizes}
    if "execution_count" in plain:
        plain["execution_count"] = count
    return plain


# ---------------------------------------------------------------- the student's copy


def student(solution: Notebook) -> Notebook:
    """The notebook that is handed out: every solution a stub, everything else the same; it is not run yet."""
    cells = []
    for cell in solution["cells"]:
        copy = {**cell, "metadata": dict(cell["metadata"])}
        if copy["cell_type"] == "code":
            copy |= {"source": stubbed(copy["source"]), "outputs": [], "execution_count": None}
        cells.append(copy)
    return from_dict({**solution, "cells": cells})


def stubbed(source: str) -> str:
    """The code with every solution replaced: by ``raise NotImplementedError``, outside a function by ``name = ...``."""
    kept: list[str] = []
    solution: list[str] | None = None
    for line in source.splitlines():
        if line.strip() == BEGIN:
            kept.append(line)
            solution = []
        elif line.strip() == END:
            if solution is None:
                raise ValueError(f"'{END}' without '{BEGIN}' before it, in the cell that begins {source[:40]!r}")
            kept += [*_stub(line[: len(line) - len(line.lstrip())], solution), line]
            solution = None
        elif solution is None:
            kept.append(line)
        else:
            solution.append(line)
    if solution is not None:
        raise ValueError(f"'{BEGIN}' without '{END}' after it, in the cell that begins {source[:40]!r}")
    return "\n".join(kept)


def _stub(indent: str, solution: list[str]) -> list[str]:
    if indent:
        return [f"{indent}raise NotImplementedError"]
    names = [
        target.id
        for statement in ast.parse("\n".join(solution)).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    ]
    if not names:
        raise ValueError(f"a solution outside a function must give a name a value: {' '.join(solution)!r}")
    return [f"{name} = ..." for name in dict.fromkeys(names)]


# ---------------------------------------------------------------- running


def executed(notebook: Notebook, folder: Path) -> Notebook:
    """The notebook after all its cells ran in order in a fresh kernel; an error in a cell is raised here."""
    os.environ |= {"EVSIM_PROGRESS": "off", "MPLBACKEND": "agg", "JUPYTER_PREFER_ENV_PATH": "1"}
    ready = normalised(notebook)
    NotebookClient(ready, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return normalised(ready)


# ---------------------------------------------------------------- the rules


def complaints(path: Path) -> list[str]:
    """Every rule of the house that the notebook at ``path`` breaks, one sentence each."""
    notebook, name = read(path), "/".join(path.parts[-2:])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell["source"].strip()]
    prose = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    outputs = [output for cell in code for output in cell["outputs"]]
    words = sum(len(re.findall(r"[\w'’-]+", _without_code(text))) for text in prose)
    longest = max((len(cell["source"].splitlines()) for cell in code), default=0)
    rules = {
        "is not in normal form: run `python -m evsim.classroom.notebooks normalise`": (
            written(normalised(notebook)) == path.read_text(encoding="utf-8")
        ),
        f"has {path.stat().st_size} bytes, more than {BYTES_MAX}": path.stat().st_size <= BYTES_MAX,
        f"has {len(notebook['cells'])} cells, not {CELLS.start} to {CELLS.stop - 1}": len(notebook["cells"]) in CELLS,
        f"has {words} words of prose, not {WORDS.start} to {WORDS.stop - 1}": words in WORDS,
        f"has a cell of {longest} lines, more than {LINES_MAX}": longest <= LINES_MAX,
        f"has more than {CODE_IN_A_ROW_MAX} code cells without a sentence between": _most_in_a_row(notebook)
        <= CODE_IN_A_ROW_MAX,
        "was not run from top to bottom": [c["execution_count"] for c in code] == [*range(1, len(code) + 1)],
        "shows an error": all(output["output_type"] != "error" for output in outputs),
        "shows text from stderr": all(output.get("name") != "stderr" for output in outputs),
        "installs or downloads": not any(re.search(r"^\s*[%!]", cell["source"], re.MULTILINE) for cell in code),
        "differs from the one that its solution makes: run `python -m evsim.classroom.notebooks student`": _true_copy(
            path, notebook
        ),
    }
    return [f"{name} {rule}" for rule, kept in rules.items() if not kept]


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _most_in_a_row(notebook: Notebook) -> int:
    kinds = "".join("c" if cell["cell_type"] == "code" else " " for cell in notebook["cells"])
    return max(map(len, kinds.split()), default=0)


def _true_copy(path: Path, notebook: Notebook) -> bool:
    solution = path.parent / "solutions" / path.name
    if not solution.exists():
        return BEGIN not in "".join(cell["source"] for cell in notebook["cells"]) or path.parent.name == "solutions"
    kept = ("cell_type", "id", "metadata", "source")
    made = normalised(student(read(solution)))["cells"]
    return [[c[k] for k in kept] for c in made] == [[c.get(k) for k in kept] for c in notebook["cells"]]


# ---------------------------------------------------------------- the command


def main(arguments: list[str] | None = None) -> int:
    """What ``python -m evsim.classroom.notebooks`` does."""
    parser = argparse.ArgumentParser(prog="python -m evsim.classroom.notebooks", description=__doc__.partition("\n")[0])
    parser.add_argument("act", choices=["run", "student", "normalise", "check"])
    parser.add_argument("which", nargs="*", default=[""], help="two digits of a notebook; all of them when left out")
    parser.add_argument("--in", dest="folder", type=Path, default=Path("notebooks"), help="where the notebooks are")
    given = parser.parse_args(arguments)
    solutions, handed_out = (
        [path for digits in given.which for path in sorted(folder.glob(f"{digits}*.ipynb"))]
        for folder in (given.folder / "solutions", given.folder)
    )
    if given.act == "check":
        said = [sentence for path in [*solutions, *handed_out] for sentence in complaints(path)]
        print(*said, sep="\n", end="\n" if said else "")
        return 1 if said else 0
    if given.act == "normalise":
        for path in [*solutions, *handed_out]:
            _write(path, normalised(read(path)))
        return 0
    made = {given.folder / path.name: path for path in solutions}
    slow = 0
    if given.act == "run":
        slow += sum(_run(path, read(path)) for path in [*solutions, *(p for p in handed_out if p not in made)])
    slow += sum(_run(path, student(read(solution))) for path, solution in made.items())
    return 1 if slow else 0


def _run(path: Path, notebook: Notebook) -> bool:
    """Run and write one notebook; true when it took too long."""
    start = time.perf_counter()
    ready = executed(notebook, path.parent)
    took_s = time.perf_counter() - start
    _write(path, ready)
    slow = took_s > SECONDS_MAX
    print(f"{took_s:5.1f} s  {path}" + (f"  more than {SECONDS_MAX:.0f} s" if slow else ""))
    return slow


def _write(path: Path, notebook: Notebook) -> None:
    path.write_text(written(notebook), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
