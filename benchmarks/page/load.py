"""Many clients at once on the local page: what is lost, how long they wait, what memory does.

    python -m benchmarks.page.load --clients 100 --rounds 3 --page docs/page.md

Every client sends photographs one after the other: it waits for its turn, takes the DNG, and compares it with the one
that was made of the same photograph when nobody else was there. One time in ten it breaks an upload off first.
"""

import argparse
import io
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from priorraw.results import fill
from priorraw_edge.page.bundle_cache import cached_bundle
from priorraw_edge.quiet import quiet_libraries

from benchmarks.page.server import Server, serving

PHOTOS = 5  # different ones
SIDE = 300  # pixels of the smallest


@dataclass
class Tally:
    done: int = 0
    wrong: int = 0
    lost: int = 0
    left: int = 0  # clients that went away, as told to
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="photographs a client sends")
    parser.add_argument("--bundle", type=Path, help="the page's own by default")
    parser.add_argument("--page", type=Path, help="fill the figures into this page")
    given = parser.parse_args()
    with serving(given.bundle or cached_bundle()) as server:
        result = load(server, given.clients, given.rounds)
    line = describe(given.clients, given.rounds, result)
    print(line)
    if given.page:
        fill(given.page, {"load": lambda: line})
    if result["lost"] or result["wrong"]:
        raise SystemExit(1)


def load(server: Server, clients: int, rounds: int) -> dict[str, Any]:
    """Figures of one run."""
    photos = [_photo(i) for i in range(PHOTOS)]
    alone = [_dng(server, photo) for photo in photos]
    tally, rest = Tally(), server.megabytes()
    peak, stop = list(rest), threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            for i, size in enumerate(server.megabytes()):
                peak[i] = max(peak[i], size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    half: list[float] = []
    with ThreadPoolExecutor(clients) as pool:
        for i, _ in enumerate(pool.map(lambda k: _client(server, k, rounds, photos, alone, tally), range(clients))):
            if i == clients // 2:
                half = server.megabytes()
    seconds = time.monotonic() - start
    stop.set()
    watcher.join()
    state = server.json("GET", "/api/status")["jobs"]
    return {
        "photographs": clients * rounds,
        "done": tally.done,
        "lost": tally.lost,
        "wrong": tally.wrong,
        "left": tally.left,
        "seconds": seconds,
        "median_wait": float(np.median(tally.seconds)),
        "longest_wait": max(tally.seconds),
        "rest_mb": rest,
        "half_mb": half,
        "peak_mb": peak,
        "end_mb": server.megabytes(),
        "stuck": state["uploading"] + state["waiting"] + state["running"],
    }


def describe(clients: int, rounds: int, result: dict[str, Any]) -> str:
    def sizes(name: str) -> str:
        return " + ".join(f"{size:.0f}" for size in result[name])

    asked = f"{clients} clients at once, {rounds} photographs each ({result['photographs']})"
    return (
        f"{asked}, and {result['left']} uploads broken off on purpose: {result['done']} done, {result['lost']} lost, "
        f"{result['wrong']} other than when alone, {result['stuck']} stuck, in {result['seconds']:.0f} s; a client "
        f"waited {result['median_wait']:.1f} s (median), {result['longest_wait']:.1f} s at most. Memory of server + "
        f"worker: {sizes('rest_mb')} MB before, {sizes('half_mb')} MB when half the clients were done, "
        f"{sizes('peak_mb')} MB at most, {sizes('end_mb')} MB after."
    )


def _client(server: Server, number: int, rounds: int, photos: list[bytes], alone: list[bytes], tally: Tally) -> None:
    choose = random.Random(number)
    for _ in range(rounds):
        i = choose.randrange(len(photos))
        if choose.random() < 0.1:
            _break_off(server, photos[i])
            with tally.lock:
                tally.left += 1
        start = time.monotonic()
        try:
            dng = _dng(server, photos[i])
        except (OSError, AssertionError) as error:
            print(f"client {number}: {error}")
            with tally.lock:
                tally.lost += 1
            continue
        with tally.lock:
            tally.done += 1
            tally.wrong += dng != alone[i]
            tally.seconds.append(time.monotonic() - start)


def _dng(server: Server, photo: bytes) -> bytes:
    job = server.finish(server.submit(photo))
    assert job["state"] == "done", job["error"]
    status, _, dng = server.request("GET", f"/api/jobs/{job['id']}/dng")
    assert status == 200
    server.request("DELETE", f"/api/jobs/{job['id']}")
    return dng


def _break_off(server: Server, photo: bytes) -> None:
    with socket.create_connection((server.host, server.port)) as connection:
        head = f"Host: {server.host}:{server.port}\r\nX-PriorRAW: 1\r\nContent-Length: {len(photo)}\r\n\r\n"
        connection.sendall(f"POST /api/jobs HTTP/1.1\r\n{head}".encode() + photo[: len(photo) // 2])


def _photo(i: int) -> bytes:
    from PIL import Image

    sample = Image.open(Path(__file__).parents[2] / "prior_assets/samples/coffee.jpg")
    side = SIDE + 30 * i
    file = io.BytesIO()
    sample.resize((side, side * 2 // 3)).save(file, "JPEG", quality=92)
    return file.getvalue()


if __name__ == "__main__":
    with quiet_libraries():
        main()
