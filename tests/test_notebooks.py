"""Notebooks are kept in one form, the student's copy is the solution without its answers, and the rules are kept."""

from pathlib import Path

import pytest
from nbformat import v4

from evsim.classroom.notebooks import (
    BEGIN,
    END,
    complaints,
    executed,
    main,
    normalised,
    read,
    stubbed,
    student,
    written,
)

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
COMMITTED = sorted(
    str(path.relative_to(NOTEBOOKS)) for where in ("", "solutions/") for path in NOTEBOOKS.glob(f"{where}*.ipynb")
)

SOLVED = f"""def charge(event, ctx):
    {BEGIN}
    if event.id:
        ctx.effect("card charged")
    {END}
"""
VALUE = f"{BEGIN}\nseed, twice = 7, 14\nseed = 8\n{END}"


def notebook(*cells):
    """A notebook as an editor leaves it: with counts, versions and view settings."""
    book = v4.new_notebook(metadata={"language_info": {"name": "python", "version": "3.99"}, "colab": {}})
    for n, source in enumerate(cells):
        make = v4.new_markdown_cell if source.startswith("# ") else v4.new_code_cell
        book.cells.append(make(source, id=f"cell-{n}", metadata={"collapsed": True, "tags": ["b", "a"]}))
    return book


def broken_rules(tmp_path, book):
    path = tmp_path / "07-a-notebook.ipynb"
    path.write_text(written(book), encoding="utf-8")
    return "\n".join(complaints(path))


@pytest.mark.parametrize("name", COMMITTED)
def test_a_notebook_of_the_course_keeps_every_rule(name):
    assert complaints(NOTEBOOKS / name) == []


def test_every_solution_is_handed_out():
    assert {path.name for path in NOTEBOOKS.glob("solutions/*.ipynb")} <= {
        path.name for path in NOTEBOOKS.glob("*.ipynb")
    }


class TestOneNormalForm:
    def test_only_the_kernel_tags_and_ids_stay(self):
        plain = normalised(notebook("# Why?", "1 + 1"))
        assert set(plain.metadata) == {"kernelspec"}
        assert [cell.metadata for cell in plain.cells] == [{"tags": ["a", "b"]}] * 2
        assert [cell.id for cell in plain.cells] == ["cell-0", "cell-1"]

    def test_doing_it_twice_changes_nothing(self):
        once = normalised(notebook("# Why?", "1 + 1"))
        assert normalised(once) == once
        assert v4.reads(written(once)) == once

    def test_a_missing_or_repeated_id_comes_from_the_text(self):
        book = notebook("1", "1", "1")
        del book.cells[0]["id"]
        book.cells[2]["id"] = "cell-1"
        ids = [cell.id for cell in normalised(book).cells]
        assert len(set(ids)) == 3
        assert ids == [cell.id for cell in normalised(book).cells]

    def test_counts_run_from_one(self):
        book = notebook("1", "# words", "2", "3")
        book.cells[0].execution_count, book.cells[2].execution_count = 12, 40
        counts = [cell.get("execution_count") for cell in normalised(book).cells]
        assert counts == [1, None, 2, None]

    def test_prints_are_one_output_and_pictures_keep_their_size(self):
        book = notebook("1")
        sizes = {"image/png": {"width": 900, "unit": "px"}, "isolated": True}
        book.cells[0].outputs = [
            v4.new_output("stream", name="stdout", text="a\n"),
            v4.new_output("stream", name="stdout", text="b\n"),
            v4.new_output("display_data", data={"text/plain": "a figure"}, metadata=sizes),
        ]
        printed, figure = normalised(book).cells[0].outputs
        assert printed.text == "a\nb\n"
        assert figure.metadata == {"image/png": {"width": 900}}


class TestTheStudentsCopy:
    def test_a_solution_becomes_a_stub_between_its_marks(self):
        assert stubbed(SOLVED).splitlines() == [
            "def charge(event, ctx):",
            f"    {BEGIN}",
            "    raise NotImplementedError",
            f"    {END}",
        ]

    def test_a_value_becomes_an_ellipsis(self):
        assert (
            stubbed(f"{BEGIN}\nseed = 7  # the one\nload: float = 0.8\n{END}")
            == f"{BEGIN}\nseed = ...\nload = ...\n{END}"
        )

    @pytest.mark.parametrize("source", [f"{BEGIN}\nx = 1", f"x = 1\n{END}", f"{BEGIN}\nprint(1)\n{END}"])
    def test_marks_that_do_not_fit_are_refused(self, source):
        with pytest.raises(ValueError, match=r"(?i)solution"):
            stubbed(source)

    def test_nothing_of_the_answer_is_left(self):
        solution = notebook("# Why?", SOLVED, "1 + 1")
        solution.cells[1].outputs = [v4.new_output("stream", name="stdout", text="card charged")]
        copy = student(solution)
        assert "card charged" not in written(copy)
        assert [cell.id for cell in copy.cells] == [cell.id for cell in solution.cells]
        assert "card charged" in written(solution)

    def test_a_copy_that_drifted_is_found(self, tmp_path):
        (tmp_path / "solutions").mkdir()
        solution = normalised(notebook("# Why?", SOLVED))
        (tmp_path / "solutions" / "07-a-notebook.ipynb").write_text(written(solution))
        assert "differs" not in broken_rules(tmp_path, normalised(student(solution)))
        drifted = normalised(student(solution))
        drifted.cells[0].source = "# Why not?"
        assert "differs" in broken_rules(tmp_path, drifted)

    def test_a_solution_without_a_home_is_found(self, tmp_path):
        assert "differs" in broken_rules(tmp_path, normalised(notebook(SOLVED)))


class TestRules:
    def test_each_is_said_in_a_sentence(self, tmp_path):
        book = notebook("%pip install luck", "2", "3", "4", "\n".join("5" * 50), "# " + "x" * 300_000)
        book.cells[1].outputs = [
            v4.new_output("stream", name="stderr", text="Warning"),
            v4.new_output("error", ename="ValueError", evalue="", traceback=[]),
        ]
        said = broken_rules(tmp_path, book)
        for word in [
            "normal form",
            "bytes",
            "6 cells",
            "1 words",
            "50 lines",
            "3 code cells",
            "top to bottom",
            "error",
            "stderr",
            "installs",
        ]:
            assert word in said

    def test_a_notebook_that_keeps_them_is_left_in_peace(self, tmp_path):
        book = notebook(*["# " + "word " * 80, "1"] * 13)
        for n, cell in enumerate(book.cells[1::2], start=1):
            cell.execution_count = n
        assert broken_rules(tmp_path, normalised(book)) == ""


@pytest.mark.filterwarnings("default")
class TestRunning:
    def test_a_notebook_is_run_in_order_in_a_fresh_kernel(self, tmp_path):
        done = executed(notebook("x = 1", "# words", "x + 1"), tmp_path)
        assert [cell.get("execution_count") for cell in done.cells] == [1, None, 2]
        assert done.cells[2].outputs[0].data["text/plain"] == "2"

    def test_the_command_makes_both_copies_and_repeats_itself(self, tmp_path, capsys):
        (tmp_path / "solutions").mkdir()
        solution = tmp_path / "solutions" / "07-a-notebook.ipynb"
        solution.write_text(written(notebook(VALUE, "seed")))
        assert main(["run", "--in", str(tmp_path)]) == 0
        copy = tmp_path / solution.name
        assert read(solution).cells[1].outputs[0].data["text/plain"] == "8"
        assert read(copy).cells[1].outputs[0].data["text/plain"] == "Ellipsis"
        before = [path.read_bytes() for path in (solution, copy)]
        assert main(["run", "07", "--in", str(tmp_path)]) == 0
        assert [path.read_bytes() for path in (solution, copy)] == before
        assert main(["check", "--in", str(tmp_path)]) == 1
        assert "2 cells" in capsys.readouterr().out
