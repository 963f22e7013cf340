"""What real brokers promise, ours keep: the whole table is played."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from evsim.errors import UnknownName
from evsim.lab.conformance import table
from evsim.lab.conformance.case import Case, Seen

EVERY = table.cases()


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.id)
def test_ours_does_as_the_real_one(case):
    verdict = case.verdict()
    assert verdict.ok, f"{case.must}; seen: {verdict.seen} ({case.source})"


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.id)
def test_a_case_says_all_that_a_reader_needs(case):
    assert case.setup
    assert case.must
    assert "https://" in case.source or "measured" in case.source


def test_ids_are_not_used_twice():
    assert max(Counter(case.id for case in EVERY).values()) == 1


def test_each_broker_has_cases():
    found = Counter(case.id.rpartition("-")[0] for case in EVERY)
    assert found.keys() >= {"log", "queue", "sqs", "pubsub", "webhook", "stream"}
    assert sum(found.values()) > 130


def test_a_verdict_is_computed_from_what_was_seen():
    def case(ok):
        return Case("log-99", "log", "a log", "none", "keep", "measured", lambda: Seen("kept", ok=ok)).verdict()

    assert [case(True).state, case(False).state] == ["ok", "VIOLATED"]


def test_an_unknown_id_or_broker_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'log-"):
        table.cases(id="log-1")
    with pytest.raises(UnknownName, match="did you mean 'log'"):
        table.cases(broker="logs")


def conformance(*words):
    command = [sys.executable, "-m", "evsim", "conformance", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_the_case_and_leaves_with_0():
    done = conformance("--id", "log-01")
    assert done.returncode == 0, done.stderr
    assert "log-01" in done.stdout
    assert "1 of 1 cases ok" in done.stdout


def test_the_command_speaks_json():
    found = json.loads(conformance("--broker", "log", "--json").stdout)
    assert {case["state"] for case in found} == {"ok"}
    assert set(found[0]) == {"id", "broker", "setup", "fault", "must", "seen", "state", "source"}


def test_a_broken_promise_leaves_with_1(monkeypatch):
    from evsim import cli

    broken = Case("log-99", "log", "a log", "none", "keep", "measured", lambda: Seen("lost", ok=False))
    monkeypatch.setattr(table, "cases", lambda *chosen: [broken])
    assert cli.conformance() == 1
