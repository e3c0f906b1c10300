"""One night: list, judge what changed, move the history, publish, tell."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tbdiag.config import Config
from tbdiag.errors import StateError
from tbdiag.nightly import history
from tbdiag.nightly.naming import OWNER
from tbdiag.nightly.plan import SURVEY, Plan, make_plan, make_quiet_plan
from tbdiag.nightly.source import digest_files, path_key, survey_roots
from tbdiag.nightly.state import COLUMNS, MEMORY, State, open_state, peek_state
from tbdiag.nightly.store import Store
from tbdiag.nightly.tasks import Answer, Limits, Setup, Task

if TYPE_CHECKING:
    from tbdiag.logs import Survey
    from tbdiag.nightly.cluster import Cluster
    from tbdiag.nightly.pool import Pool

STORE_RUNS = 100
STORE_SECONDS = 1.0
"""Answers are written to the state at least this often: what a killed night loses."""
FEW_RUNS = 500
"""So many runs are shared among the workers as a whole; of more, tasks are made as they are needed, so that memory does not grow with them."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a night is asked to do.

    Attributes:
        roots: directories (or fsspec URLs) that hold runs.
        state: directory of the state.
        site: directory to publish to, or None.
        now: seconds since the epoch against which everything is judged.
        pages: whether the whole site is wanted; otherwise only the digest, JSON and JUnit go to `site`.
        reports: ``findings`` or ``all``.
        scheduler: ``processes``, ``inline``, ``local`` or ``dask://HOST:PORT``.
        owner_pattern: regular expression with a group ``owner`` over run names, for runs that `Config.owners` does not name.
        link: address under which the site is served, for the webhook's links.
        webhook: address to post new findings to, or None.
        say: receives log lines.
    """

    roots: tuple[str, ...]
    state: Path
    now: float
    site: Path | None = None
    config: Config = field(default_factory=Config)
    pages: bool = True
    reports: str = "findings"
    scheduler: str = "processes"
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    owner_pattern: str = OWNER
    keep_days: float = 30.0
    title: str = "Training runs"
    link: str = ""
    webhook: str | None = None
    backup: Path | None = None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Night:
    """What a night did: its number, what the closing counted, the plan's counts, and the digest as Markdown."""

    number: int
    closing: history.Closing
    reasons: Mapping[str, int]
    unchanged: int
    digest: str
    deaths: int = 0


def run_night(options: Options) -> Night:
    """Run one night.

    Raises:
        LogdirError: a root is missing or holds no event file (an unmounted disk must not look like deleted runs).
        NightBusyError: another night is at work.
        StateError: state or site cannot be written.
    """
    import sqlite3

    begun = time.monotonic()
    setup = Setup(
        config=replace(options.config, suppressions=()),
        now=options.now,
        limits=options.limits,
        reports=_reports(options),
        columns=str(options.state / COLUMNS),
    )
    with _one_line(options), contextlib.closing(_Judges(options, setup)) as judges:
        surveys: list[Survey] = []

        def walk() -> None:
            # Where something is to be judged, the workers load what they need while the listing goes on.
            memory = options.state / MEMORY
            surveys.append(survey_roots(options.roots, after=_last_night(options.state), on_newer=judges.prepare, memory=memory))

        with open_state(options.state, meanwhile=walk) as state:
            try:
                return _run(options, state, judges, surveys[0], begun)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                raise StateError(f"{options.state}: the state is damaged ({error}); run again: it is set aside and rebuilt") from error


def plan_night(options: Options) -> Plan:
    """What `run_night` would judge; writes nothing, not even the lock."""
    state = peek_state(options.state)
    try:
        return make_plan(
            survey_roots(options.roots).runs(), state, options.now, judge_key(options.config, options.owner_pattern), _reports(options)
        )
    finally:
        if state is not None:
            state.db.close()


def judge_key(config: Config, owner_pattern: str = OWNER) -> str:
    """Names what stored judgements depend on beside the logs: the version, every setting but the suppressions, how owners are told."""
    from tbdiag import __version__

    settings = {**asdict(replace(config, suppressions=(), source=None)), "owner_pattern": owner_pattern}
    return f"{__version__}-{hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()}"


def _run(options: Options, state: State, judges: _Judges, survey: Survey, begun: float) -> Night:
    say = options.say
    for note in state.notes:
        say(note)
    key = judge_key(options.config, options.owner_pattern)
    digest = survey.digest
    plan = make_quiet_plan(state, digest, options.now, key, _reports(options))
    if plan is None:
        state.put(SURVEY, None)  # until this night is whole, the state knows no set of files: they may come back as they were
        plan = make_plan(survey.runs(), state, options.now, key, _reports(options))
    _say_plan(plan, say)
    number = _begin(state, options.now, say)
    store = Store(state, number, key, options.config.owners, options.owner_pattern)
    store.apply_plan(plan)
    with contextlib.closing(judges):
        _judge_all(options, judges, store, plan)
        state.put(SURVEY, digest)
        _judge_successors(options, judges, store, survey)
    closing = history.close_night(state, number, options.now, options.config.suppressions, time.monotonic() - begun)
    for line in closing.expired:
        say(line)
    history.forget(state, number, options.now - options.keep_days * 86400)
    told = _publish(options, state, number)
    if options.backup is not None:
        state.backup(options.backup)
        say(f"backed up the state to {options.backup}")
    return Night(number, closing, plan.count(), plan.unchanged, told, judges.deaths)


def _last_night(folder: Path) -> float:
    """When the last closed night was judged (seconds since the epoch), before the state was checked; -inf where there is none."""
    import sqlite3

    state = peek_state(folder)
    if state is None:
        return -math.inf
    with contextlib.closing(state.db) as db:
        try:
            last = db.execute("SELECT max(now) FROM nights WHERE closed = 1").fetchone()[0]
        except sqlite3.DatabaseError:
            return -math.inf
    return float(last) if last is not None else -math.inf


def _reports(options: Options) -> str:
    return options.reports if options.site is not None and options.pages else "none"


def _begin(state: State, now: float, say: Callable[[str], None]) -> int:
    """Open a night, or take up the one that was cut short."""
    state.number_changes()
    row = state.db.execute("SELECT id FROM nights WHERE closed = 0").fetchone()
    if row is not None:
        done = state.db.execute("SELECT count(*) FROM runs WHERE judged_night = ?", (row[0],)).fetchone()[0]
        say(f"the last night was cut short; its {done:,} judged runs are kept")
        state.db.execute("UPDATE nights SET now = ? WHERE id = ?", (now, row[0]))
        return int(row[0])
    return int(state.db.execute("INSERT INTO nights(now) VALUES(?) RETURNING id", (now,)).fetchone()[0])


def _say_plan(plan: Plan, say: Callable[[str], None]) -> None:
    parts = [f"{n:,} {reason}" for reason, n in sorted(plan.count().items())]
    parts += [f"{plan.unchanged:,} unchanged"] if plan.unchanged else []
    parts += [f"{len(plan.gone):,} gone"] if plan.gone else []
    parts += [f"{len(plan.renamed):,} renamed"] if plan.renamed else []
    say(f"listed {len(plan.judge) + plan.unchanged:,} runs: {', '.join(parts) or 'nothing to do'}")


class _Judges:
    """Whoever judges by the chosen scheduler; worker processes are started once a night."""

    def __init__(self, options: Options, setup: Setup) -> None:
        self._options = options
        self._setup = setup
        self._team: Pool | Cluster | None = None
        self.deaths = 0
        """How many workers died before `close`."""

    def prepare(self) -> None:
        """Start the worker processes, where there are any of our own: they load what they need while other things are done."""
        if self._options.scheduler == "processes" and self._team is None:
            from tbdiag.nightly.pool import Pool

            self._team = Pool(self._setup, self._options.workers, keep=True)
            self._team.prepare()

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Answers to tasks, in any order."""
        if self._options.scheduler == "inline":
            from tbdiag.nightly.worker import answer_task

            return (answer_task(task, self._setup) for task in tasks)
        if self._team is None:
            self._team = self._gather()
        return self._team.run(tasks)

    def _gather(self) -> Pool | Cluster:
        if self._options.scheduler == "processes":
            from tbdiag.nightly.pool import Pool

            return Pool(self._setup, self._options.workers, keep=True)
        from tbdiag.nightly.cluster import Cluster

        return Cluster(self._options.scheduler, self._setup, self._options.workers)

    def close(self) -> None:
        """End the worker processes."""
        if self._team is not None:
            self._team.close()
            self.deaths, self._team = self._team.deaths, None


def _judge_all(options: Options, judges: _Judges, store: Store, plan: Plan) -> None:
    if not plan.judge:
        return
    total = len(plan.judge)
    tasks = (Task(i, listing.name, listing, size=sum(f.size for f in listing.files)) for i, (listing, _, _) in enumerate(plan.judge))
    answers = judges.run(list(tasks) if total <= FEW_RUNS else tasks)
    done, failed, begun, told = 0, 0, time.monotonic(), time.monotonic()
    with contextlib.closing(answers):  # type: ignore[type-var]
        for batch in _in_batches(answers):
            store.store([(*plan.judge[answer.key][:2], answer) for answer in batch])
            done += len(batch)
            for answer in batch:
                if answer.failed:
                    failed += 1
                    options.say(f"failed: {plan.judge[answer.key][0].name}: {answer.failed}")
            if time.monotonic() - told > 10:
                told = time.monotonic()
                options.say(f"judged {done:,} of {total:,} runs, {done / (told - begun):.0f} a second")
    options.say(f"judged {done:,} runs in {time.monotonic() - begun:.1f} s" + (f", {failed:,} failed" if failed else ""))


def _judge_successors(options: Options, judges: _Judges, store: Store, survey: Survey) -> None:
    """Judge success rules of earlier runs' findings on the newest later run of their family."""
    due = history.find_successions(store.state)
    if not due:
        return
    listed = {path_key(listing): listing for listing in survey.runs()}
    paths = dict(store.state.db.execute("SELECT id, path FROM runs WHERE gone_night IS NULL"))
    tasks = []
    for successor, pairs in itertools.groupby(due, key=lambda row: row[0]):
        rules = tuple((run, finding, rule) for _, run, finding, rule in pairs)
        listing = listed.get(paths.get(successor, b""))
        if listing is not None:
            earlier = {run: listed[paths[run]] for run, _, _ in rules if paths.get(run) in listed}
            tasks.append(Task(successor, listing.name, listing, rules, earlier))
    answers = judges.run(tasks)
    judged = 0
    with contextlib.closing(answers):  # type: ignore[type-var]
        for answer in answers:
            listing = listed[paths[answer.key]]
            verdicts = answer.verdicts
            if answer.failed:
                task = next(t for t in tasks if t.key == answer.key)
                verdicts = tuple((run, finding, "cannot-tell", answer.failed) for run, finding, _ in task.rules)
            digest = store.state.db.execute("SELECT listing FROM runs WHERE id = ?", (answer.key,)).fetchone()
            store.store_verdicts(answer.key, digest[0] if digest else digest_files(listing), verdicts)
            judged += len(verdicts)
    options.say(f"judged {judged:,} success rules of earlier runs")


def _in_batches(answers: Iterable[Answer]) -> Iterator[list[Answer]]:
    batch: list[Answer] = []
    begun = time.monotonic()
    for answer in answers:
        batch.append(answer)
        if len(batch) >= STORE_RUNS or time.monotonic() - begun > STORE_SECONDS:
            yield batch
            batch, begun = [], time.monotonic()
    if batch:
        yield batch


def _publish(options: Options, state: State, number: int) -> str:
    """Write the site (or the digest alone), post what is new, then count the night as told."""
    from tbdiag.nightly.digest import gather_digest, write_markdown
    from tbdiag.nightly.notify import post_new

    digest = gather_digest(state, number, options.title)
    if options.site is not None:
        from tbdiag.nightly.publish import publish

        publish(state, digest, options.site, pages=options.pages, now=options.now, keep_days=options.keep_days)
        options.say(f"published {options.site}")
    if options.webhook:
        post_new(options.webhook, digest, options.link, options.say)
    state.put("told_night", number)
    return write_markdown(digest)


@contextlib.contextmanager
def _one_line(options: Options) -> Iterator[None]:
    """Turn a full or read-only disk into one clear line."""
    try:
        yield
    except OSError as error:
        where = error.filename or options.state
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateError(f"{where}: the disk is full; free some space and run again, the last site is untouched") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StateError(f"{where}: cannot be written ({error.strerror}); choose another place with --state or --site") from error
        raise
