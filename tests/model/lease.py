"""The lease protocol, small enough to try everything.

One asset, two workers, a provider that makes a job of every request, a network that loses answers
and repeats callbacks. Each action is what one transaction or one call of the product does; between
any two of them everything else may happen. Of a token only what matters is kept: whether it is
still the row's.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_ATTEMPTS = 2
MAX_CLAIMS = 2


class Rules(NamedTuple):
    """The three rules everything hangs on; a mutation leaves one out."""

    guard: bool = True
    """A write names the token its writer has read."""
    nonce: bool = True
    """A callback is stored once."""
    intent: bool = True
    """That the provider will be called is committed before it is."""


class Job(NamedTuple):
    """One attempt: what its row says, and what the provider really has."""

    intended: bool = False
    outcome: str = "open"  # open, accepted, absent, ended
    debt: str = "none"  # none, owed, paid
    flying: bool = False  # a request is on its way
    posts: int = 0  # jobs the provider has made of it
    alive: bool = False  # one of them occupies its place there
    result: str = "none"  # none, ok, bad
    inbox: str = "none"  # none, new, settled
    effects: int = 0  # how often its callback counted


class Worker(NamedTuple):
    """A process at work, as long as nobody kills it."""

    phase: str = "idle"  # idle, claimed, intended, sent, answered, unanswered, looking
    attempt: int = 0
    fresh: bool = False  # the token it has read is still the row's


IDLE = Worker()


class State(NamedTuple):
    """Everything there is."""

    status: str = "waiting"  # waiting, processing, completed, failed, cancelled
    claims: int = 0
    lease: str = "none"  # none, held, lapsed
    jobs: tuple[Job, ...] = ()
    published: int = -1
    workers: tuple[Worker, Worker] = (IDLE, IDLE)
    stale_write: bool = False

    def job(self, index: int, **changes: Any) -> "State":
        """This state with one job changed."""
        jobs = list(self.jobs)
        jobs[index] = jobs[index]._replace(**changes)
        return self._replace(jobs=tuple(jobs))

    def worker(self, index: int, worker: Worker) -> "State":
        """This state with one worker changed; which of two equals is which does not matter."""
        workers = list(self.workers)
        workers[index] = worker
        return self._replace(workers=(min(workers), max(workers)))

    def enter(self, worker: Worker) -> "State":
        """This state with an idle worker at work."""
        return self.worker(self.workers.index(IDLE), worker)

    def raise_token(self) -> "State":
        """This state with every worker fenced."""
        first, second = sorted(w._replace(fresh=False) for w in self.workers)
        return self._replace(workers=(first, second))


Step = tuple[str, State]


def steps(rules: Rules, state: State) -> Iterator[Step]:
    """Everything that can happen next."""
    for index, worker in enumerate(state.workers):
        if index and worker == state.workers[0]:
            break  # which of two equals goes on does not matter
        yield from _worker_steps(rules, state, index, worker)
        if worker.phase != "idle":
            yield f"{worker.phase} worker crashes", state.worker(index, IDLE)
    for index, job in enumerate(state.jobs):
        yield from _provider_steps(rules, state, index, job)
        yield from _inbox_steps(state, index, job)
        yield from _release_steps(state, index, job)
    if state.lease == "held":
        yield "lease lapses", state._replace(lease="lapsed")
    if state.status in {"waiting", "processing"}:
        yield "owner cancels", _end(_owe(state), "cancelled")
    if state.status == "processing":
        yield "deadline passes", _end(_owe(state), _after_failure(state))


def _worker_steps(rules: Rules, state: State, index: int, worker: Worker) -> Iterator[Step]:
    attempt = worker.attempt
    match worker.phase:
        case "idle":
            yield from _claims(state)
        case "claimed":
            yield from _intend(rules, state, index, worker)
        case "intended":
            sent = state.worker(index, worker._replace(phase="sent"))
            yield "calls", sent.job(attempt, flying=True)
        case "sent":
            if not state.jobs[attempt].flying and state.jobs[attempt].posts:
                yield "is answered", state.worker(index, worker._replace(phase="answered"))
            yield "times out", state.worker(index, worker._replace(phase="unanswered"))
        case "answered":
            yield "records", _record(rules, state, worker).worker(index, IDLE)
        case "unanswered":
            yield "notes silence", _reopen(state, attempt).worker(index, IDLE)
        case "looking":
            yield from _look_up(rules, state, index, worker)


def _intend(rules: Rules, state: State, index: int, worker: Worker) -> Iterator[Step]:
    for after in _guarded(rules, state, worker):
        intended = after.job(worker.attempt, intended=rules.intent)
        yield "intends", intended.worker(index, worker._replace(phase="intended"))
    if not worker.fresh and rules.guard:
        yield "is stale", state.worker(index, IDLE)


def _claims(state: State) -> Iterator[Step]:
    if state.status == "waiting" and len(state.jobs) < MAX_ATTEMPTS:
        claimed = _owe(state)._replace(status="processing", claims=1, lease="held")
        begun = claimed._replace(jobs=(*claimed.jobs, Job())).raise_token()
        yield "claims", begun.enter(Worker("claimed", len(state.jobs), fresh=True))
    if state.status == "processing" and state.lease == "lapsed":
        if state.claims >= MAX_CLAIMS:
            yield "gives up", _end(_owe(state), "failed")
            return
        current = len(state.jobs) - 1
        phase = "looking" if state.jobs[current].intended else "claimed"
        taken = state._replace(claims=state.claims + 1, lease="held").raise_token()
        yield "takes over", taken.enter(Worker(phase, current, fresh=True))


def _guarded(rules: Rules, state: State, worker: Worker) -> Iterator[State]:
    """The state to write to, if the guard lets this worker write."""
    if worker.fresh and state.status == "processing":
        yield state
    elif not rules.guard and state.status == "processing":
        yield state._replace(stale_write=True)


def _record(rules: Rules, state: State, worker: Worker) -> State:
    seen = _see(state, worker.attempt)
    for after in _guarded(rules, seen, worker):
        return after._replace(lease="none")
    return _give_up_unwanted(seen, worker.attempt)


def _look_up(rules: Rules, state: State, index: int, worker: Worker) -> Iterator[Step]:
    job = state.jobs[worker.attempt]
    if job.posts:
        yield "finds it", state.worker(index, worker._replace(phase="answered"))
    elif not job.flying:  # two look-ups agree, the first later than any call can take
        for after in _guarded(rules, state, worker):
            closed = after.worker(index, IDLE).job(worker.attempt, outcome="absent")
            yield "believes it absent", _end(closed, _after_failure(closed))
    yield "will ask again", state.worker(index, IDLE)


def _provider_steps(rules: Rules, state: State, index: int, job: Job) -> Iterator[Step]:
    if job.flying:
        yield "request lands", state.job(index, flying=False, posts=job.posts + 1, alive=True)
        yield "request is lost", state.job(index, flying=False)
    if job.alive and job.result == "none":
        yield "job succeeds", state.job(index, result="ok")
        yield "job fails", state.job(index, result="bad", alive=False)
    is_new = job.inbox == "none" or (not rules.nonce and job.effects == 1)
    if job.result != "none" and is_new:
        yield "callback arrives", state.job(index, inbox="new")


def _inbox_steps(state: State, index: int, job: Job) -> Iterator[Step]:
    if job.inbox == "new":
        counted = state.job(index, inbox="settled", effects=job.effects + 1)
        yield "callback is applied", _apply(_see(counted, index), index)
    awaited = state.status == "processing" and state.lease == "none"
    if awaited and index == len(state.jobs) - 1 and job.result != "none":
        yield "poll is applied", _apply(state, index)


def _apply(state: State, index: int) -> State:
    ended = state.job(index, outcome="ended") if state.jobs[index].result == "bad" else state
    current = index == len(state.jobs) - 1 and state.status == "processing"
    if state.jobs[index].result == "bad":
        return _end(ended, _after_failure(state)) if current else ended
    if state.status in {"completed", "cancelled"}:
        return _give_up_unwanted(state, index)
    wanted = state.job(index, debt="none") if state.jobs[index].debt == "owed" else state
    return _end(_owe(wanted, but=index), "completed")._replace(published=index)


def _release_steps(state: State, index: int, job: Job) -> Iterator[Step]:
    if job.debt == "owed":
        released = state.job(index, alive=False)
        if job.outcome in {"accepted", "ended"} or not job.flying:
            released = released.job(index, debt="paid")
        yield "release is called", released


def _owe(state: State, *, but: int = -1) -> State:
    for index, job in enumerate(state.jobs):
        open_ = job.intended and job.outcome in {"open", "accepted"} and job.debt == "none"
        if open_ and index not in {but, state.published}:
            state = state.job(index, debt="owed")
    return state


def _see(state: State, index: int) -> State:
    """The provider has the job: what was paid before anybody had seen it is owed anew."""
    seen = state.jobs[index].outcome in {"accepted", "ended"}
    return state if seen else _reopen(state, index).job(index, outcome="accepted")


def _reopen(state: State, index: int) -> State:
    job = state.jobs[index]
    unseen = job.outcome not in {"accepted", "ended"}
    return state.job(index, debt="owed") if unseen and job.debt == "paid" else state


def _give_up_unwanted(state: State, index: int) -> State:
    wanted = index == len(state.jobs) - 1 and state.status == "processing"
    job = state.jobs[index]
    if wanted or index == state.published or job.outcome == "ended" or job.debt != "none":
        return state
    return state.job(index, debt="owed")


def _end(state: State, status: str) -> State:
    return state._replace(status=status, lease="none", claims=0).raise_token()


def _after_failure(state: State) -> str:
    return "waiting" if len(state.jobs) < MAX_ATTEMPTS else "failed"
