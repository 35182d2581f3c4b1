"""A child process that holds one row and runs it when told to: so that each row has its own peak of memory.

    python -m priorraw_edge.bench.worker ORDER

ORDER is JSON. On standard output, one JSON object a line: {"ready": ...} or {"skipped": reason}; then for each
line read, "run": {"seconds", "cpu_seconds"}, "end": {"peak_rss"} and exit.
"""

import json
import os
import sys
import time

from priorraw_edge.bench.machine import bind, peak_rss


def main() -> None:
    order = json.loads(sys.argv[1])
    bind(order["threads"])  # before any run time counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers

    def answer(value: dict) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        from priorraw_edge.bench.subjects import BUILDERS

        subject = BUILDERS[order["build"]](order)
        subject.run()  # first runs allocate, compile and tune
    except Exception as error:  # whatever keeps a row from running is told in its place in the table
        lines = str(error).strip().splitlines()
        answer({"skipped": lines[0] if lines else type(error).__name__})
        return
    answer({"ready": {"pixels": subject.pixels, "tiles": subject.tiles}})
    for line in sys.stdin:
        if line.strip() != "run":
            break
        cpu, wall = time.process_time(), time.perf_counter()
        subject.run()
        answer({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu})
    answer({"peak_rss": peak_rss()})


if __name__ == "__main__":
    main()
