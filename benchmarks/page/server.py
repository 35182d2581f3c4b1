"""`priorraw-edge demo --serve` as a process, and the few requests that its clients need."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADERS = {"X-PriorRAW": "1"}
START_SECONDS = 120
WITH_LIMITS = """
import json, sys
from pathlib import Path
from priorraw_edge.page.limits import Limits
from priorraw_edge.page.serve import serve

limits = Limits(**json.loads(sys.argv[2]))
serve(Path(sys.argv[1]), port=0, limits=limits, announce=lambda address: print(address, flush=True))
"""


class Server:
    """A running page."""

    def __init__(self, process: subprocess.Popen[str], address: str):
        self.process, self.address = process, address
        match = re.fullmatch(r"http://\[?([^]/]+?)\]?:(\d+)/", address)
        assert match, address
        self.host, self.port = match[1], int(match[2])

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            connection.request(method, path, body, HEADERS | (headers or {}))
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        status, _, answer = self.request(method, path, body)
        assert status < 300, f"{method} {path}: {status} {answer[:200]!r}"
        return json.loads(answer)

    def submit(self, photo: bytes, query: str = "") -> dict[str, Any]:
        """Accepted job; waits as long as the server is busy."""
        while True:
            status, headers, answer = self.request("POST", f"/api/jobs?{query}", photo)
            if status != 503:
                assert status == 202, f"{status} {answer[:200]!r}"
                return json.loads(answer)
            time.sleep(float(headers["retry-after"]))

    def finish(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job at its end."""
        while job["state"] not in ("done", "failed"):
            job = self.json("GET", f"/api/jobs/{job['id']}?seen={job['revision']}")
        return job

    def processes(self) -> list[int]:
        """The server and what it has started, by number."""
        found, todo = [], [self.process.pid]
        while todo:
            found.append(pid := todo.pop())
            with contextlib.suppress(OSError):
                todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def megabytes(self) -> list[float]:
        """Resident memory of the server and of its worker."""
        sizes = []
        for pid in self.processes()[:2]:
            status = Path(f"/proc/{pid}/status").read_text()
            sizes.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
        return sizes


@contextlib.contextmanager
def serving(bundle: Path, *args: str, limits: dict[str, Any] | None = None) -> Iterator[Server]:
    """A server of `bundle` on a free port; `limits` are other ones than the page's own."""
    if limits is None:
        code = "from priorraw_edge.cli import main; main()"
        call = ["demo", "--serve", "--port", "0", "--bundle", str(bundle), *args]
    else:
        code, call = WITH_LIMITS, [str(bundle), json.dumps(limits)]
    call = [sys.executable, "-c", code, *call]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http" not in line:
            raise RuntimeError(f"the page did not start ({process.wait(START_SECONDS)})")
        yield Server(process, line.split()[0])
    finally:
        try:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
