"""The local page without a browser: what it takes, what it refuses, what it keeps, and what comes back."""

import http.client
import io
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image
from priorraw import isp
from priorraw_edge import load
from priorraw_edge.page.guard import ANSWER_HEADERS, Guard, is_loopback
from priorraw_edge.page.limits import Limits
from priorraw_edge.runtime.preview import block_means, preview_of
from priorraw_edge.runtime.source import ArraySource
from random_assets import CAMERAS

from benchmarks.page.server import Server, serving

LIMITS = {"upload_bytes": 300_000, "pixels": 50_000, "upload_seconds": 1.5, "waiting": 100, "poll_seconds": 2}


@pytest.fixture(scope="module")
def bundle(page_bundle) -> Path:
    return page_bundle


@pytest.fixture(scope="module")
def server(bundle):
    with serving(bundle, limits=LIMITS) as running:
        yield running


def png(height: int, width: int, seed: int = 0, **options) -> bytes:
    file = io.BytesIO()
    codes = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(codes).save(file, "PNG", **options)
    return file.getvalue()


def refusal(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, _, body = answer
    return status, json.loads(body)["error"]


def test_a_photograph_becomes_raw(server, bundle, tmp_path):
    """The same files as the Python interface writes, and a view that is the mean of blocks of the 16-bit result."""
    photo = png(150, 200)
    job = server.finish(server.submit(photo, f"camera={CAMERAS[0]}&view=64"))
    result = job["result"]
    assert (job["state"], result["camera"], result["width"], result["height"]) == ("done", CAMERAS[0], 200, 150)
    (tmp_path / "photo.png").write_bytes(photo)
    raw = load(CAMERAS[0], bundle=bundle).reconstruct(tmp_path / "photo.png")
    _, headers, dng = server.request("GET", f"/api/jobs/{job['id']}/dng")
    assert headers["content-type"] == "image/x-adobe-dng"
    assert dng == raw.save(tmp_path / "a.dng").read_bytes()
    with rawpy.imread(io.BytesIO(dng)) as file:
        assert (file.raw_image_visible[..., :3] == isp.quantise(raw.rgb, 16)).all()
    _, _, tiff = server.request("GET", f"/api/jobs/{job['id']}/tiff")
    assert tiff == raw.save(tmp_path / "a.tiff").read_bytes()
    assert (tifffile.imread(io.BytesIO(tiff)) == isp.quantise(raw.rgb, 16)).all()
    _, _, grey = server.request("GET", f"/api/jobs/{job['id']}/reliability")
    assert (np.asarray(Image.open(io.BytesIO(grey))) == isp.quantise(raw.reliability, 8)).all()
    assert np.allclose(result["neutral"], raw.neutral)
    _, _, view = server.request("GET", f"/api/jobs/{job['id']}/view")
    h, w = result["view"]["height"], result["view"]["width"]
    assert (h, w, len(view)) == (38, 50, 38 * 50 * 10)  # blocks of 4 x 4, the last of which is cut off
    codes = np.frombuffer(view, "<u2", h * w * 3).reshape(h, w, 3)
    assert (codes == isp.quantise(block_means(raw.rgb, 4), 16)).all()
    srgb = np.frombuffer(view, np.uint8, h * w * 3, 6 * h * w).reshape(h, w, 3)
    assert (srgb == preview_of(ArraySource(np.float32(Image.open(io.BytesIO(photo))) / 255), 64)).all()
    server.request("DELETE", f"/api/jobs/{job['id']}")
    assert refusal(server.request("GET", f"/api/jobs/{job['id']}/dng"))[0] == 404


def test_the_photo_names_the_camera(server):
    exif = Image.Exif()
    exif[271], exif[272] = "OLYMPUS IMAGING CORP.", "E-PL6"
    result = server.finish(server.submit(png(60, 60, exif=exif), "hint=true"))["result"]
    assert result["camera"] == "olympus-e-pl6"
    assert "EXIF names" in result["camera_reason"]
    assert any("no hint" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no picture", "no JPEG, PNG or TIFF"),
        (png(60, 60)[:300], "truncated or damaged"),
        (png(300, 300), "300x300 is above the limit of 0 megapixels"),
        (png(9, 9), "22"),
    ],
)
def test_what_cannot_be_rebuilt_is_said_in_a_line(server, body, reason):
    job = server.finish(server.submit(body))
    assert job["state"] == "failed"
    assert reason in job["error"]
    assert "/" not in job["error"].replace("JPEG/", "")  # no path of this machine
    assert server.finish(server.submit(png(48, 48)))["state"] == "done"


def test_uploads_have_limits(server):
    assert refusal(server.request("POST", "/api/jobs", b"")) == (422, "the upload is empty")
    status, line = refusal(server.request("POST", "/api/jobs", bytes(LIMITS["upload_bytes"] + 1)))
    assert (status, "larger than" in line) == (413, True)
    assert refusal(server.request("POST", "/api/jobs?camera=../../etc", png(9, 9)))[0] == 422
    assert refusal(server.request("POST", "/api/jobs?view=abc", png(9, 9)))[0] == 422
    chunked = {"Transfer-Encoding": "chunked"}
    connection = http.client.HTTPConnection(server.host, server.port)
    connection.request("POST", "/api/jobs", iter([b"x"]), {"X-PriorRAW": "1"} | chunked, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()


def test_a_slow_upload_is_cut_off(server):
    with socket.create_connection((server.host, server.port)) as connection:
        headers = (f"Host: {server.host}:{server.port}", "X-PriorRAW: 1", "Content-Length: 1000")
        connection.sendall("\r\n".join(("POST /api/jobs HTTP/1.1", *headers, "", "x")).encode())
        connection.settimeout(10)
        assert connection.recv(100).split()[1] == b"408"
    assert server.json("GET", "/api/status")["jobs"]["uploading"] == 0


def test_no_request_path_reaches_a_file(server):
    job = server.finish(server.submit(png(48, 48)))
    for path in (
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/app.py",
        "/static/index.html",
        "/api/jobs/..",
        "/api/jobs/../status/dng",
        "/api/jobs/%2e%2e/dng",
        f"/api/jobs/{job['id']}/photo",
        f"/api/jobs/{job['id']}/..%2f..%2fetc%2fpasswd",
        f"/api/jobs/{job['id']}/raw.dng",
        f"/api/jobs/{job['id']}%00/dng",
        "//etc/passwd",
    ):
        status, _, body = server.request("GET", path)
        assert status in (404, 405), (path, status, body[:80])
        assert b"root:" not in body


def test_other_sites_are_refused(server):
    own = f"http://{server.host}:{server.port}"
    photo = png(48, 48)

    def ask(method: str, path: str, **headers: str) -> int:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return server.request(method, path, photo if method == "POST" else None, names)[0]

    assert ask("POST", "/api/jobs", Origin=own, Sec_Fetch_Site="same-origin") == 202
    assert ask("POST", "/api/jobs", Origin="http://evil.example") == 403
    assert ask("POST", "/api/jobs", Origin="null") == 403
    assert ask("POST", "/api/jobs", Origin=own.replace("http", "https")) == 403
    assert ask("POST", "/api/jobs", Sec_Fetch_Site="cross-site") == 403
    assert ask("POST", "/api/jobs", X_PriorRAW="") == 403  # a form of another site cannot send it
    assert ask("GET", "/api/status", Sec_Fetch_Site="cross-site") == 403
    assert ask("GET", "/sample.jpg", Sec_Fetch_Site="same-site") == 403
    assert ask("GET", "/", Sec_Fetch_Site="cross-site") == 200  # a link may open the page
    assert ask("OPTIONS", "/api/jobs", Origin="http://evil.example") == 403  # no preflight passes
    for host in ("evil.example", f"evil.example:{server.port}", f"{server.host}:1", "", f"10.0.0.1:{server.port}"):
        assert ask("GET", "/", Host=host) == 421, host
    assert ask("GET", "/", Host=f"localhost:{server.port}") == 200
    _, headers, _ = server.request("GET", "/")
    for name, value in ANSWER_HEADERS:
        assert headers[name.decode()] == value.decode()
    assert "unsafe" not in headers["content-security-policy"]


def test_told_to_serve_others_it_still_takes_no_strange_name():
    open_to_all = Guard(None, "0.0.0.0", 80)
    assert open_to_all._ours("192.168.1.5:80")
    assert not open_to_all._ours("evil.example:80")
    assert not Guard(None, "127.0.0.1", 80)._ours("192.168.1.5:80")
    assert Guard(None, "::1", 80)._ours("[::1]:80")
    assert [is_loopback(name) for name in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "box")] == [True] * 3 + [
        False
    ] * 2


def test_it_listens_on_loopback_alone(server):
    port = f"{server.port:04X}"
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"]
    assert listening == ["0100007F"]  # 127.0.0.1


def test_full_queue_sends_away_and_comes_to_itself(bundle):
    with serving(bundle, limits={"waiting": 2}) as busy, ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: busy.request("POST", "/api/jobs", png(200, 200)), range(8)))
        assert {status for status, _, _ in answers} == {202, 503}
        assert all(headers["retry-after"] == "2" for status, headers, _ in answers if status == 503)
        jobs = [busy.finish(json.loads(body)) for status, _, body in answers if status == 202]
        assert {job["state"] for job in jobs} == {"done"}
        assert busy.request("POST", "/api/jobs", png(60, 60))[0] == 202


@pytest.mark.slow
def test_results_are_dropped_for_room_and_after_a_while(bundle):
    limits = {"kept_seconds": 1, "kept_bytes": 100_000}
    with serving(bundle, limits=limits) as small:
        first = small.finish(small.submit(png(60, 60)))
        assert refusal(small.request("POST", "/api/jobs", png(200, 200)))[0] == 503  # just asked for: not dropped yet
        assert small.json("GET", "/api/status")["jobs"]["done"] == 1
        time.sleep(8)  # the sweep comes every five seconds
        assert small.request("GET", f"/api/jobs/{first['id']}")[0] == 404
        assert small.request("POST", "/api/jobs", png(60, 60))[0] == 202


def test_a_crash_of_the_worker_loses_one_job(server):
    photo = png(220, 220)
    victim, next_one = server.submit(photo), server.submit(photo)
    worker = server.processes()[1]
    os.kill(worker, 9)
    states = [server.finish(job)["state"] for job in (victim, next_one)]
    assert states in (["failed", "done"], ["done", "failed"], ["done", "done"])  # it may have been between two
    assert server.finish(server.submit(photo))["state"] == "done"
    assert server.processes()[1] != worker


def test_a_job_that_takes_too_long_is_stopped(bundle):
    with serving(bundle, limits={"job_seconds": 0.05}) as hasty:
        job = hasty.finish(hasty.submit(png(220, 220)))
        assert job["state"] == "failed"
        assert "took more than" in job["error"]


def test_nothing_is_left_behind(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving(bundle, limits={}) as running:
        running.finish(running.submit(png(60, 60)))
        assert len(list(tmp_path.iterdir())) == 1
        pids = running.processes()
        running.process.terminate()
        assert running.process.wait(20) == 0
    assert list(tmp_path.iterdir()) == []
    time.sleep(0.5)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_refusals_of_the_command(cli, bundle, server):
    for args, reason in (
        (["--port", "0"], "belong to --serve"),
        (["--serve", "--bundle", "nowhere", "--port", "0"], "no bundle"),
        (["--serve", "--bundle", bundle, "--port", server.port], "cannot be served at"),
        (["--serve", "--bundle", bundle, "--assets", "x"], "exclude each other"),
    ):
        code, out, err = cli("demo", *args)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert reason in err


@pytest.mark.slow
def test_many_clients_lose_nothing(bundle):
    """A small load test; `make page-load` has the large one."""
    photos = [png(60, 60 + 4 * i, i) for i in range(3)]
    with serving(bundle, limits={"waiting": 6}) as running, ThreadPoolExecutor(12) as clients:
        expected = [_dng(running, photo) for photo in photos]
        got = list(clients.map(lambda i: _dng(running, photos[i % 3]), range(24)))
        assert got == [expected[i % 3] for i in range(24)]
        assert Limits().waiting >= 100


def _dng(server: Server, photo: bytes) -> bytes:
    job = server.finish(server.submit(photo))
    assert job["state"] == "done", job["error"]
    return server.request("GET", f"/api/jobs/{job['id']}/dng")[2]
