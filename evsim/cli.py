"""The command line: run, search, story, replay, check, list, datasets, conformance, lab.

Exit codes: 0 all held, 1 a promise did not hold or a replay differs, 2 a scenario or file is wrong, 3 our mistake.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from evsim.errors import BadFile, EvsimError, UnknownName, did_you_mean
from evsim.lab.text import WIDTH, say
from evsim.view.words import si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario

HELD, BROKEN, WRONG, OURS = 0, 1, 2, 3
UNTIL_S, SEED = 60.0, 1
_SIGNATURE = b"evsim-history"

app = typer.Typer(
    help="A lab for event-driven architecture: build a shop, break it, measure it, repair it.",
    epilog="Begin with:  evsim run hello",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": WIDTH},
)

Target = Annotated[
    str, typer.Argument(metavar="FILE|NAME", help="A scenario file (.yaml, .json), or a name of the catalogue.")
]
Until = Annotated[float, typer.Option("--until", metavar="SECONDS", help="How many seconds to simulate.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Which chance; equal seeds give equal runs.")]
Json = Annotated[bool, typer.Option("--json", help="The same facts for machines.")]


# ---------------------------------------------------------------- commands


@app.command()
def run(
    target: Target,
    until: Until = UNTIL_S,
    seed: Seed = SEED,
    save: Annotated[Path | None, typer.Option(metavar="PATH", help="Keep the history in this file.")] = None,
    promise: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:WORDS]", help="Check this, such as nothing_lost or every:order.placed."),
    ] = None,
    json_: Json = False,
) -> int:
    """Run a scenario and show its headline numbers."""
    scenario = _scenario(target)
    promises = [_promise(text) for text in promise or ()]
    began = time.perf_counter()
    done = scenario.run(until, seed, progress=False if json_ else None)
    took_s = time.perf_counter() - began
    verdicts = done.check(*promises)
    if save is not None:
        _saved(done, save)
    story = _command("story", str(save or target), _some_name(done.history), *([] if save else _settings(until, seed)))
    if json_:
        _print_json(done, verdicts)
    else:
        _headlines(done, took_s)
        for verdict in verdicts:
            say(str(verdict), "green" if verdict.state == "ok" else "red" if verdict.state == "VIOLATED" else "yellow")
        say(f"\n  token  {done.token}")
        say(f"  Next:  {story}")
    return BROKEN if any(verdict.state == "VIOLATED" for verdict in verdicts) else HELD


@app.command()
def search(
    target: Target,
    promise: Annotated[
        list[str],
        typer.Option(metavar="NAME[:WORDS]", help="What should hold, such as nothing_lost or every:order.placed."),
    ],
    budget: Annotated[int, typer.Option(min=1, metavar="N", help="How many schedules to try at most.")] = 2000,
    until: Until = UNTIL_S,
    seed: Seed = SEED,
    json_: Json = False,
) -> int:
    """Look for faults that break a promise; make the schedule that does as small as can be."""
    scenario, promises = _scenario(target), [_promise(text) for text in promise]
    found = scenario.search(*promises, budget=budget, until_s=until, seed=seed, progress=False if json_ else None)
    if json_:
        facts = {"found": found.found, "tried": found.tried, "report": str(found)}
        print(json.dumps(facts | ({"token": found.token} if hasattr(found, "token") else {}), indent=2))
    else:
        say(str(found), "red" if found.found else "green")
        again = _command("replay", found.token) if hasattr(found, "token") else _command("run", target)
        say(f"\n  Next:  {again}")
    return BROKEN if found.found else HELD


@app.command()
def story(
    target: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A scenario, or a history that was saved.")],
    key: Annotated[str, typer.Argument(help="An order or an event, such as order-3 or shop.3.")],
    until: Until = UNTIL_S,
    seed: Seed = SEED,
) -> int:
    """Tell the life of one event or one order."""
    from evsim.history import History

    if _is_history(target):
        history, again = History.load(target), _command("story", target)
    else:
        history = _scenario(target).run(until, seed).history
        again = _command("run", target, *_settings(until, seed))
    say(history.story(key))
    if not _is_history(target):
        say(f"\n  Next:  {again}")
    return HELD


@app.command()
def replay(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="What a run calls its token.")], json_: Json = False
) -> int:
    """Run again what a token names, and say whether it is the same run."""
    from evsim.lab.token import replay as again

    began = time.perf_counter()
    found = again(token, progress=False if json_ else None)
    if json_:
        _print_json(found.run, [], same=found.same)
    else:
        _headlines(found.run, time.perf_counter() - began)
        say(f"\n  {found}", "red" if found.same is False else "green")
        if found.run.scenario.name in _catalogue().CATALOG and not token.startswith("p."):
            name, settings = found.run.scenario.name, _settings(found.run.until_s, found.run.seed)
            say(f"  Next:  {_command('story', name, _some_name(found.run.history), *settings)}")
        else:
            say("  Next:  evsim list")
    return BROKEN if found.same is False else HELD


@app.command()
def check(target: Target) -> int:
    """Check a scenario without running it: load, capacity, utilisation."""
    scenario = _scenario(target)
    say(scenario.explain())
    say(f"\n  Next:  {_command('run', target)}")
    return HELD


@app.command(name="list")
def list_() -> int:
    """The scenarios of the catalogue."""
    catalog = _catalogue()
    for name in catalog.names():
        say(f"  {name:<12} {catalog.about(name)}")
    say(f"\n  Next:  evsim run {catalog.names()[0]}")
    return HELD


@app.command()
def datasets() -> int:
    """The datasets that can be loaded or replayed."""
    from evsim.lab import data

    for name in data.names():
        heading = next((line.strip("# ") for line in data.about(name).splitlines() if line.startswith("#")), "")
        say(f"  {name:<12} {heading.removeprefix(f'{name}: ')}")
    say("\n  Next:  evsim lab, then in a cell: ev.data.load(name)")
    return HELD


@app.command()
def conformance(
    broker: Annotated[str | None, typer.Option(metavar="NAME", help="Only the cases about this broker.")] = None,
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="Only this case, such as log-02.")] = None,
    json_: Json = False,
) -> int:
    """Hold the brokers to what the documentation of real ones promises, case by case."""
    from evsim.lab.conformance import table

    verdicts = table.played(table.cases(broker, id_))
    if json_:
        print(json.dumps([verdict.to_dict() for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        for verdict in verdicts:
            say(table.text(verdict, WIDTH), None if verdict.ok else "red")
        say(f"\n  {table.summary(verdicts)}", "green" if all(verdict.ok for verdict in verdicts) else "red")
    return HELD if all(verdict.ok for verdict in verdicts) else BROKEN


@app.command()
def lab(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser too.")] = True,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="The port to listen at.")] = 8888,
) -> int:
    """Open JupyterLab on the notebooks, for this machine only (127.0.0.1)."""
    folder = _notebooks()
    first = sorted(folder.glob("00-*.ipynb"))
    command = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.default_url=/lab/tree/{first[0].name}"] if first else []
    command += [] if browser else ["--no-browser"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    try:
        return subprocess.call(command)  # noqa: S603 - our own words, no shell
    except KeyboardInterrupt:
        return HELD


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="An AsyncAPI 3 document, or RabbitMQ definitions.")],
    vhost: Annotated[str | None, typer.Option(metavar="NAME", help="Which virtual host of RabbitMQ.")] = None,
) -> int:
    """Read a document from elsewhere and print it as a scenario file."""
    from evsim.lab.file import text_of
    from evsim.lab.scenario import Scenario

    text = text_of(path)
    if re.search(r"""["']?asyncapi["']?\s*:""", text):
        scenario = Scenario.from_asyncapi(text, path.name)
    else:
        scenario = Scenario.from_rabbitmq(text, vhost, path.name)
    print(scenario.to_yaml(), end="")
    return HELD


@app.command(name="export")
def export_(
    target: Target,
    format_: Annotated[str, typer.Option("--format", metavar="NAME", help="asyncapi or rabbitmq.")] = "asyncapi",
) -> int:
    """Print a scenario as an AsyncAPI 3 document, or its queues as RabbitMQ definitions."""
    scenario = _scenario(target)
    made = {"asyncapi": scenario.to_asyncapi, "rabbitmq": scenario.to_rabbitmq}
    if format_ not in made:
        raise UnknownName(f"no format called {format_!r}{did_you_mean(format_, made)}")
    print(made[format_](), end="")
    return HELD


# ---------------------------------------------------------------- what the words mean


def _catalogue() -> Any:
    from evsim.lab import catalog

    return catalog


def _scenario(target: str) -> Scenario:
    """The scenario in this file, or of this name."""
    from evsim.lab.scenario import Scenario

    if _is_history(target):
        raise BadFile(f"{target} is a history, the record of a run; try: evsim story {shlex.quote(target)} KEY")
    if Path(target).is_file() or Path(target).suffix in {".yaml", ".yml", ".json"} or os.sep in target:
        return Scenario.load(target).check()
    catalog = _catalogue()
    if target not in catalog.CATALOG:
        raise UnknownName(
            f"no file and no scenario of the catalogue is called {target!r}{did_you_mean(target, catalog.CATALOG)}"
        )
    return catalog.get(target)


def _is_history(target: str) -> bool:
    try:
        with Path(target).open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


_WORDLESS = {
    "nothing_lost", "in_order_by_key", "one_owner", "no_poll_skip", "no_lost_writes", "no_duplicates",
    "nothing_unexpected", "monotonic_polls", "in_causal_order", "schema_readable",
}  # fmt: skip
"""Promises that need no word behind a colon."""


def _promise(text: str) -> Any:
    """``nothing_lost``, ``at_most_once:card charged``, ``every:order.placed``."""
    from evsim.view import anomalies, checks, promises

    made: dict[str, Callable[..., Any]] = {
        "nothing_lost": lambda _: checks.nothing_lost(),
        "in_order_by_key": lambda _: checks.in_order_by_key(),
        "at_most_once": checks.at_most_once,
        "at_least_once": checks.at_least_once,
        "exactly_once": checks.exactly_once,
        "every": lambda words: checks.every(words).ends,
        "recovers_within": lambda words: promises.recovers_within(_seconds(words)),
        "nothing_stuck": lambda words: promises.nothing_stuck(_seconds(words)),
        "in_time": lambda words: promises.in_time(_seconds(words)),
        "one_owner": lambda _: promises.one_owner(),
        "no_poll_skip": lambda _: promises.no_poll_skip(),
        "no_lost_writes": lambda _: anomalies.no_lost_writes(),
        "no_duplicates": lambda _: anomalies.no_duplicates(),
        "nothing_unexpected": lambda _: anomalies.nothing_unexpected(),
        "monotonic_polls": lambda _: anomalies.monotonic_polls(),
        "in_causal_order": lambda _: anomalies.in_causal_order(),
        "schema_readable": lambda _: anomalies.schema_readable(),
    }
    name, _, words = text.partition(":")
    if name not in made:
        raise UnknownName(f"no promise called {name!r}{did_you_mean(name, made)}")
    if not words and name not in _WORDLESS:
        timed = name in {"recovers_within", "nothing_stuck", "in_time"}
        example = "30" if timed else "order.placed" if name == "every" else "card charged"
        raise UnknownName(f"the promise {name!r} needs words behind a colon, such as '{name}:{example}'")
    return made[name](words)


def _seconds(words: str) -> float:
    try:
        return float(words)
    except ValueError:
        raise UnknownName(f"{words!r} is no number of seconds; write for instance recovers_within:30") from None


def _saved(done: Run, path: Path) -> None:
    try:
        done.save(path)
    except OSError as problem:
        raise BadFile(f"cannot write {path}: {(problem.strerror or str(problem)).lower()}; give another path") from None


def _notebooks() -> Path:
    """Those of the checkout, else those in the current folder."""
    for folder in (Path(__file__).parents[1] / "notebooks", Path.cwd() / "notebooks"):
        if folder.is_dir():
            return folder
    return Path.cwd()


def _settings(until: float, seed: int) -> list[str]:
    """The options that are not their defaults."""
    words = ["--until", f"{until:g}"] if until != UNTIL_S else []
    return words + (["--seed", str(seed)] if seed != SEED else [])


def _command(*words: str) -> str:
    return shlex.join(["evsim", *words])


def _some_name(history: History) -> str:
    """A key or an id that a story can be told about."""
    if not history.event_count:
        return "KEY"
    middle = min(2, history.event_count - 1)
    return history.key_of(middle) or history.id_of(middle)


# ---------------------------------------------------------------- what is printed


def _headlines(done: Run, took_s: float) -> None:
    say(f"{done.scenario.name} ".ljust(WIDTH, "─"))
    size = f"{done.history.event_count:,}".replace(",", " ")
    say(f"  seed {done.seed}   {done.until_s:g} s simulated in {si(took_s, 's')}   {size} events\n")
    for name, value in done.headlines():
        say(f"  {name:<16}{value:>12}")
    for remark in done.remarks():
        say(f"\n  {remark}", "yellow")


def _print_json(done: Run, verdicts: list[Any], **more: Any) -> None:
    facts = {
        "scenario": done.scenario.name,
        "seed": done.seed,
        "until_s": done.until_s,
        "interrupted": done.interrupted,
        "digest": done.digest(),
        "token": done.token,
        "summary": done.summary(),
        "checks": [{"state": verdict.state, "text": str(verdict)} for verdict in verdicts],
        **more,
    }
    print(json.dumps(facts, indent=2, default=float))


# ---------------------------------------------------------------- the way in and out


def main(words: list[str] | None = None) -> NoReturn:
    """Do what the command line says; mistakes are answered with a sentence and a number, never with a traceback."""
    sys.exit(_answer(sys.argv[1:] if words is None else words))


def _answer(words: list[str]) -> int:
    try:
        answer = typer.main.get_command(app)(words or ["--help"], prog_name="evsim", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else HELD
    except EvsimError as problem:
        say(f"evsim: {problem}", error=True)
        return WRONG
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return HELD
    except Exception as problem:
        if hasattr(problem, "format_message"):
            say(f"evsim: {problem.format_message().rstrip('.')}. Try: evsim --help", error=True)
            return WRONG
        if os.environ.get("EVSIM_TRACEBACK"):
            raise
        said = f"{type(problem).__name__}: {problem}"
        say(f"evsim: a mistake of ours, {said}. EVSIM_TRACEBACK=1 shows where; please report it.", error=True)
        return OURS
