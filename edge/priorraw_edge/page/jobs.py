"""The page's one queue: jobs wait, run one after the other in the worker process, and are kept for a while."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from priorraw.errors import InputError

from priorraw_edge.page.limits import Limits

UPLOADING, WAITING, RUNNING, DONE, FAILED = "uploading", "waiting", "running", "done", "failed"
RECENT = 60.0  # a result that was asked for within this is not dropped to make room
START_SECONDS = 120.0  # for a worker to load the bundle
SWEEP_SECONDS = 5.0


class BusyError(Exception):
    """No room for another job now."""


@dataclass(eq=False)
class Job:
    id: str  # unguessable: whoever knows it may see the photograph
    folder: Path
    camera: str | None
    hint: bool
    view_side: int
    state: str = UPLOADING
    position: int = 0  # how many jobs are before it
    step: str = ""
    done: float = 0.0  # part of the step
    result: dict[str, Any] | None = None
    error: str | None = None
    revision: int = 0
    asked: float = field(default_factory=time.monotonic)  # when a client last asked for it
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, **changes: Any) -> None:
        """Set fields and wake whoever waits for news."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.revision += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def to_json(self) -> dict[str, Any]:
        names = ("id", "state", "position", "step", "done", "result", "error", "revision")
        return {name: getattr(self, name) for name in names}


class Jobs:
    """Everything that was asked for; lives as long as the server, in a temporary folder of its own."""

    def __init__(self, bundle: Path, folder: Path, limits: Limits):
        self.limits = limits
        self.cameras: list[str] = []  # known once the worker has loaded the bundle
        self.default = ""
        self.finished = 0  # jobs that were done or refused since the start
        self._bundle, self._folder = bundle, folder
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the worker and the queue.

        Raises:
            InputError: the worker does not start.
        """
        await self._start_worker()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kill_worker()

    def admit(self, size: int, camera: str | None, hint: bool, view_side: int) -> Job:
        """A job that will take `size` bytes of upload; its folder exists.

        Raises:
            BusyError: too many jobs, or no room to keep more.
        """
        if sum(job.state in (UPLOADING, WAITING, RUNNING) for job in self._jobs.values()) >= self.limits.waiting:
            raise BusyError("too many photographs are waiting")
        self._make_room(size)
        name = secrets.token_urlsafe(16)
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        job = Job(name, folder, camera, hint, view_side)
        self._jobs[name] = job
        return job

    def enqueue(self, job: Job) -> None:
        """Its photograph has arrived."""
        self._waiting.append(job)
        job.tell(state=WAITING, position=len(self._waiting) - 1 + self._running())
        self._wake.set()

    def find(self, name: str) -> Job | None:
        job = self._jobs.get(name)
        if job is not None:
            job.asked = time.monotonic()
        return job

    async def news(self, job: Job, seen: int) -> None:
        """Return when the job has changed since revision `seen`, or after a while."""
        if job.revision <= seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(job.changed.wait(), self.limits.poll_seconds)
        job.asked = time.monotonic()

    def remove(self, job: Job) -> None:
        """Forget a job and its files; one that runs is stopped."""
        self._jobs.pop(job.id, None)
        with contextlib.suppress(ValueError):
            self._waiting.remove(job)
        if job.state == RUNNING:
            self._send({"cancel": True})
        else:
            shutil.rmtree(job.folder, ignore_errors=True)
        job.tell(state=FAILED, error="removed")
        self._tell_positions()

    def counts(self) -> dict[str, int]:
        states = [job.state for job in self._jobs.values()]
        return {name: states.count(name) for name in (UPLOADING, WAITING, RUNNING, DONE, FAILED)}

    async def _run(self) -> None:
        """Take jobs from the queue for ever."""
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            job = self._waiting.popleft()
            job.tell(state=RUNNING, position=0)
            self._tell_positions()
            try:
                answer = await asyncio.wait_for(self._work(job), self.limits.job_seconds)
            except TimeoutError:
                await self._restart_worker()
                answer = {"error": f"took more than {self.limits.job_seconds:.0f} s; send a smaller photograph"}
            self._finish(job, answer)

    def _finish(self, job: Job, answer: dict[str, Any]) -> None:
        (job.folder / "photo").unlink(missing_ok=True)
        self.finished += 1
        if job.id not in self._jobs:  # removed meanwhile
            shutil.rmtree(job.folder, ignore_errors=True)
        elif "error" in answer:
            job.tell(state=FAILED, error=answer["error"])
        else:
            job.tell(state=DONE, result=answer["result"])

    async def _work(self, job: Job) -> dict[str, Any]:
        """The worker's last word on a job."""
        request = {"folder": str(job.folder), "camera": job.camera, "hint": job.hint, "view_side": job.view_side}
        self._send(request)
        while True:
            message = await self._receive()
            if message is None:
                code = await self._restart_worker()
                why = f" ({signal.Signals(-code).name})" if code < 0 else ""
                return {"error": f"the process that rebuilds it ended{why}; try again or send another photograph"}
            if "result" in message or "error" in message:
                return message
            job.tell(step=message["step"], done=message["done"])

    async def _start_worker(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            # -P: a file in the working folder must not pass for a module.
            *(sys.executable, "-P", "-m", "priorraw_edge.page.worker", str(self._bundle.absolute())),
            json.dumps(asdict(self.limits)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours; and a decoder that it started ends with it
        )
        try:
            told = await asyncio.wait_for(self._receive(), START_SECONDS)
        except TimeoutError:
            told = None
        ready = told or {"error": f"{self._bundle}: the process that runs it did not start; export it again"}
        if "error" in ready:
            await self._kill_worker()
            raise InputError(ready["error"])
        self.cameras, self.default = ready["ready"], ready["default"]

    async def _restart_worker(self) -> int:
        """Exit status of the one before."""
        code = await self._kill_worker()
        await self._start_worker()
        return code

    async def _kill_worker(self) -> int:
        process = self._process
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return await process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _receive(self) -> dict[str, Any] | None:
        """The worker's next line; None where it has ended."""
        assert self._process is not None and self._process.stdout is not None
        line = await self._process.stdout.readline()
        return json.loads(line) if line else None

    def _running(self) -> int:
        return sum(job.state == RUNNING for job in self._jobs.values())

    def _tell_positions(self) -> None:
        for i, job in enumerate(self._waiting):
            position = i + self._running()
            if job.position != position:
                job.tell(position=position)

    async def _sweep(self) -> None:
        """Drop what nobody has asked for lately."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for job in list(self._jobs.values()):
                idle = time.monotonic() - job.asked
                if job.state in (DONE, FAILED) and idle > self.limits.kept_seconds:
                    self.remove(job)

    def _make_room(self, size: int) -> None:
        """Drop the oldest results until `size` more bytes may be kept.

        Raises:
            BusyError: even so they may not.
        """
        free = self.limits.kept_bytes - size - sum(_bytes_in(job.folder) for job in self._jobs.values())
        for job in sorted(self._jobs.values(), key=lambda job: job.asked):
            if free >= 0:
                return
            if job.state in (DONE, FAILED) and time.monotonic() - job.asked > RECENT:
                free += _bytes_in(job.folder)
                self.remove(job)
        if free < 0:
            raise BusyError("no room to keep more results")


def _bytes_in(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except OSError:  # being removed
        return 0
