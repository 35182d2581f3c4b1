"""The process that rebuilds for the page, one photograph after the other. Started by `jobs`, never by hand.

    python -m priorraw_edge.page.worker BUNDLE LIMITS

It reads a JSON line for each job and answers in JSON lines: {"step", "done"} as it goes on, then {"result"} or
{"error"}. A process of its own, since ExecuTorch keeps Python's lock while it computes, and since what crashes here
leaves the page alive. The line {"cancel": true} ends the job at the next row of tiles; it ends with its input.
"""

import json
import math
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from priorraw import progress
from priorraw.errors import InputError

from priorraw_edge.page.limits import Limits
from priorraw_edge.page.rebuild import Request, rebuild
from priorraw_edge.quiet import quiet_libraries
from priorraw_edge.runtime.engine import BundleEngine


class _CancelledError(Exception):
    pass


def main(bundle: Path, limits: Limits) -> None:
    answers = _own_output()
    progress.PLAIN_LINE_SECONDS = math.inf  # the page says how far it is
    jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(jobs, cancelled), daemon=True).start()
    try:
        engine = BundleEngine(bundle)
    except InputError as error:
        _say(answers, error=str(error))
        return
    _say(answers, ready=sorted(engine.manifest["banks"]), default=engine.manifest["camera"])

    def tell(step: str, done: float) -> None:
        if cancelled.is_set():
            raise _CancelledError
        _say(answers, step=step, done=round(done, 4))

    while (job := jobs.get()) is not None:
        cancelled.clear()
        request = Request(Path(job["folder"]), job["camera"], job["hint"], job["view_side"])
        try:
            _say(answers, result=rebuild(request, engine, limits, tell))
        except InputError as error:
            _say(answers, error=str(error))
        except _CancelledError:
            _say(answers, error="stopped")


def _listen(jobs: "queue.Queue[dict[str, Any] | None]", cancelled: threading.Event) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("cancel"):
            cancelled.set()
        else:
            jobs.put(message)
    cancelled.set()
    jobs.put(None)


def _own_output() -> TextIO:
    """Standard output for our answers alone: whatever a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, **message: object) -> None:
    print(json.dumps(message), file=answers, flush=True)


if __name__ == "__main__":
    with quiet_libraries():
        main(Path(sys.argv[1]), Limits(**json.loads(sys.argv[2])))
