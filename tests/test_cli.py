"""The command line says the same as the notebook, in 80 columns, and a mistake is a sentence and a number."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import evsim as ev
from evsim import cli
from evsim.lab.catalog import CATALOG, HELLO

ROOT = Path(__file__).parents[1]


@pytest.fixture
def evsim(capsys, monkeypatch):
    """Say words to evsim; hear its exit code, what it said, and what it complained of."""
    monkeypatch.setenv("EVSIM_PROGRESS", "off")

    def tell(*words):
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        heard = capsys.readouterr()
        for line in (heard.out + heard.err).splitlines():
            assert len(line) <= 80 or "~s" in line or " " not in line.strip(), "only a long path may be longer"
        return end.value.code, heard.out, heard.err

    return tell


def next_command(out):
    """The words of the command that the last line names."""
    assert out.rstrip().splitlines()[-1].startswith("  Next:  evsim ")
    return out.rstrip().splitlines()[-1].removeprefix("  Next:  evsim ").split()


class TestRun:
    def test_it_shows_the_headlines_the_token_and_what_to_do_next(self, evsim):
        code, out, err = evsim("run", "hello", "--until", 20, "--seed", 7)
        run = HELLO.run(until_s=20, seed=7)
        assert (code, err) == (0, "")
        assert all(name in out and value in out for name, value in run.headlines())
        assert run.token in out
        assert evsim(*next_command(out))[0] == 0
        assert evsim("replay", run.token)[0] == 0

    def test_a_file_is_run_as_well(self, evsim, tmp_path):
        path = tmp_path / "my shop.yaml"
        path.write_text(HELLO.to_yaml(), encoding="utf-8")
        code, out, _ = evsim("run", path, "--until", 5)
        assert code == 0
        assert "hello~s1~5~" in out

    def test_machines_hear_the_same(self, evsim):
        code, out, _ = evsim("run", "hello", "--until", 20, "--seed", 7, "--json", "--promise", "nothing_lost")
        told, run = json.loads(out), HELLO.run(until_s=20, seed=7)
        assert code == 0
        assert (told["digest"], told["token"]) == (run.digest(), run.token)
        assert told["summary"] == run.summary()
        assert told["checks"][0]["state"] == "ok"

    def test_a_broken_promise_is_exit_code_1(self, evsim, tmp_path):
        path = tmp_path / "a.yaml"
        unlucky = CATALOG["payment"].plus(ev.Crash("payment", after="handled", nth=3, down_s=1))
        path.write_text(unlucky.to_yaml(), encoding="utf-8")
        code, out, _ = evsim("run", path, "--promise", "at_most_once:card charged", "--promise", "nothing_lost")
        assert code == 1
        assert "VIOLATED" in out

    def test_a_history_is_kept_and_told_from(self, evsim, tmp_path):
        path = tmp_path / "a.evsim"
        code, out, _ = evsim("run", "hello", "--until", 20, "--seed", 7, "--save", path)
        assert code == 0
        assert path.exists()
        code, out, _ = evsim("story", path, "order-3")
        assert code == 0
        assert "shop published order.placed shop.3" in out
        code, _, err = evsim("run", path)
        assert (code, "is a history" in " ".join(err.split())) == (2, True)


class TestOthers:
    def test_story(self, evsim):
        code, out, _ = evsim("story", "hello", "order-3", "--seed", 7, "--until", 20)
        assert code == 0
        assert "shop published order.placed shop.3" in out
        assert evsim(*next_command(out))[0] == 0

    def test_replay_says_whether_it_is_the_same(self, evsim):
        token = HELLO.run(until_s=20, seed=7).token
        code, out, _ = evsim("replay", token)
        assert (code, "the same run, digit for digit" in out) == (0, True)
        assert evsim(*next_command(out))[0] == 0
        code, out, _ = evsim("replay", token.replace("~s7~", "~s8~"))
        assert (code, "not the same run" in out) == (1, True)
        code, out, _ = evsim("replay", token, "--json")
        assert json.loads(out)["same"] is True
        own = HELLO.replace("billing", members=2).run(until_s=5, seed=7).token
        code, out, _ = evsim("replay", own)
        assert evsim(*next_command(out))[0] == 0

    def test_check_does_not_run(self, evsim):
        code, out, _ = evsim("check", "hello")
        assert (code, "utilisation 60 %" in out) == (0, True)
        assert next_command(out) == ["run", "hello"]

    def test_list_and_datasets(self, evsim):
        code, out, _ = evsim("list")
        assert code == 0
        assert all(name in out for name in CATALOG)
        assert evsim(*next_command(out))[0] == 0
        code, out, _ = evsim("datasets")
        assert (code, "flights" in out) == (0, True)

    def test_without_words_it_helps(self, evsim):
        code, out, _ = evsim()
        assert (code, "Usage: evsim" in out) == (0, True)
        for command in ("run", "story", "replay", "check", "list", "datasets", "lab"):
            assert f"  {command} " in out
            assert evsim(command, "--help")[0] == 0

    def test_lab_opens_for_this_machine_only(self, evsim, monkeypatch):
        said = []
        monkeypatch.setattr(cli.subprocess, "call", lambda command: said.append(command) or 0)
        code, *_ = evsim("lab", "--no-browser", "--port", 9999)
        assert code == 0
        assert {"--ip=127.0.0.1", "--port=9999", "--no-browser"} <= set(said[0])
        assert f"--ServerApp.root_dir={ROOT / 'notebooks'}" in said[0]
        assert not [word for word in said[0] if "token" in word or "password" in word]


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["run", "helo"], "did you mean 'hello'"),
            (["run", "nothing.yaml"], "cannot read nothing.yaml"),
            (["run", "hello", "--until", "0"], "until_s=0"),
            (["run", "hello", "--until", "soon"], "until"),
            (["run", "hello", "--seed", "-1"], "seed=-1"),
            (["run", "hello", "--promise", "nothing_lots"], "did you mean 'nothing_lost'"),
            (["run", "hello", "--promise", "every"], "every:order.placed"),
            (["run", "hello", "--until", "5", "--save", "/no/such/folder/x"], "cannot write"),
            (["run"], "FILE|NAME"),
            (["story", "hello", "order-99999"], "order-99999"),
            (["replay", "x"], "is no token"),
            (["rnu"], "rnu"),
            (["run", "hello", "--sed", "7"], "--sed"),
            (["lab", "--port", "0"], "port"),
        ],
    )
    def test_a_mistake_is_a_sentence_and_exit_code_2(self, evsim, words, said):
        code, out, err = evsim(*words)
        assert code == 2
        assert out == ""
        assert said.replace(" ", "") in re.sub(r"\s", "", err) or said in err
        assert err.startswith("evsim: ")
        assert "Traceback" not in err

    def test_a_file_with_problems_shows_them_all(self, evsim, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("parts:\n- {kind: lgo, name: orders}\n- {kind: log, name: x, partitons: 2}\n", encoding="utf-8")
        code, _, err = evsim("run", path)
        assert code == 2
        assert "a.yaml: 2 problems. Nothing was run." in err
        assert "line 2" in err
        assert "line 3" in err

    def test_a_mistake_of_ours_is_exit_code_3(self, evsim, monkeypatch):
        def fail(*_):
            raise ZeroDivisionError("oh")

        monkeypatch.setattr(cli, "_scenario", fail)
        code, _, err = evsim("run", "hello")
        assert code == 3
        assert "a mistake of ours, ZeroDivisionError: oh" in err
        assert "Traceback" not in err


class TestAsAProgram:
    def program(self, *words, **environment):
        return subprocess.run(
            [sys.executable, "-m", "evsim", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            check=False,
        )

    def test_python_m_evsim_is_the_same(self):
        done = self.program("run", "hello", "--until", "20", "--seed", "7", PYTHONIOENCODING="utf-8")
        assert done.returncode == 0
        assert HELLO.run(until_s=20, seed=7).token in done.stdout.decode()
        assert b"\x1b" not in done.stdout

    def test_where_only_ascii_can_be_shown_only_ascii_is(self):
        for environment in ({"EVSIM_ASCII": "1"}, {"PYTHONIOENCODING": "latin-1"}):
            done = self.program("run", "hello", "--until", "5", **environment)
            assert done.returncode == 0
            assert done.stdout.isascii()
            assert b"hello ----" in done.stdout

    def test_ctrl_c_shows_what_there_is(self):
        words = [sys.executable, "-m", "evsim", "run", "hello", "--until", "100000000"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        busy = psutil.Process(program.pid)
        while busy.cpu_times().user < 2.0:  # by then it is at work, however slow the machine
            time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
        assert (program.returncode, err) == (0, b"")
        assert b"stopped from the keyboard at" in out
