"""The page's routes. No part of a request becomes part of a path: jobs are looked up, static files are in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from priorraw.errors import InputError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from priorraw_edge import __version__
from priorraw_edge.page import rebuild
from priorraw_edge.page.jobs import DONE, BusyError, Job, Jobs
from priorraw_edge.page.limits import Limits

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
RESULTS = {
    "view": (rebuild.VIEW, "application/octet-stream"),
    "dng": (rebuild.DNG, "image/x-adobe-dng"),
    "tiff": (rebuild.TIFF, "image/tiff"),
    "reliability": (rebuild.MAP, "image/png"),
}
RETRY_SECONDS = 2


def make_app(
    bundle: Path,
    folder: Path,
    limits: Limits,
    ready: Callable[[], None],
    failed: Callable[[InputError], None],
) -> FastAPI:
    """The application, not yet guarded.

    Args:
        bundle: the xnnpack bundle that rebuilds.
        folder: an empty folder for photographs and results.
        ready: called once the first photograph may come.
        failed: called if that never happens.
    """
    jobs = Jobs(bundle, folder, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            await jobs.start()
        except InputError as error:
            failed(error)
            raise
        ready()
        yield
        await jobs.stop()

    app = FastAPI(title="PriorRAW Edge", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    _say_errors(app)
    _serve_static(app)

    @app.get("/api/status")
    async def status() -> dict[str, Any]:
        return {
            "version": __version__,
            "cameras": jobs.cameras,
            "default": jobs.default,
            "limits": {"bytes": limits.upload_bytes, "pixels": limits.pixels, "view": limits.view_side},
            "jobs": jobs.counts(),
            "finished": jobs.finished,
        }

    @app.post("/api/jobs", status_code=202)
    async def submit(
        request: Request,
        camera: str | None = None,
        hint: bool = False,
        view: Annotated[int, Query(ge=64)] = limits.view_side,
    ) -> dict[str, Any]:
        if camera is not None and camera not in jobs.cameras:
            raise HTTPException(422, "there is no bank of this camera")
        size = _declared_size(request, limits)
        try:
            job = jobs.admit(size, camera, hint, min(view, limits.view_side))
        except BusyError as busy:
            await asyncio.wait_for(_drain(request), limits.upload_seconds)
            raise HTTPException(503, f"{busy}; try again in a moment", {"Retry-After": str(RETRY_SECONDS)}) from None
        try:
            await asyncio.wait_for(_receive(request, job, size), limits.upload_seconds)
        except BaseException as error:
            jobs.remove(job)
            if isinstance(error, TimeoutError):
                raise HTTPException(408, f"the upload took more than {limits.upload_seconds:.0f} s") from None
            if isinstance(error, ClientDisconnect):
                return {}  # nobody is there to read it
            raise
        jobs.enqueue(job)
        return job.to_json()

    def found(name: str) -> Job:
        job = jobs.find(name)
        if job is None:
            raise HTTPException(404, "there is no such job, or it was kept long enough")
        return job

    @app.get("/api/jobs/{name}")
    async def state(name: str, seen: int = -1) -> dict[str, Any]:
        job = found(name)
        await jobs.news(job, seen)
        return job.to_json()

    @app.delete("/api/jobs/{name}", status_code=204)
    async def remove(name: str) -> None:
        jobs.remove(found(name))

    @app.get("/api/jobs/{name}/{kind}")
    async def result(name: str, kind: str) -> FileResponse:
        job = found(name)
        if kind not in RESULTS or job.state != DONE:
            raise HTTPException(404, "there is no such result")
        file, media = RESULTS[kind]
        return FileResponse(job.folder / file, media_type=media)

    return app


def _declared_size(request: Request, limits: Limits) -> int:
    """The length that the client promises; without one it may be anything, so it must promise."""
    try:
        size = int(request.headers.get("content-length", ""))
    except ValueError:
        raise HTTPException(411, "the upload must say its length") from None
    if size > limits.upload_bytes:
        raise HTTPException(413, f"the photograph is larger than {limits.upload_bytes >> 20} MB")
    if size < 1:
        raise HTTPException(422, "the upload is empty")
    return size


async def _drain(request: Request) -> None:
    """Read the body and forget it: a browser that is cut off while it sends shows no answer."""
    async for _ in request.stream():
        pass


async def _receive(request: Request, job: Job, size: int) -> None:
    """Write the body to the job's photograph as it comes."""
    received = 0
    with (job.folder / rebuild.PHOTO).open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > size:
                raise HTTPException(400, "the upload is longer than it says")
            file.write(chunk)
    if received != size:
        raise HTTPException(400, "the upload is shorter than it says")


def _serve_static(app: FastAPI) -> None:
    """Files of fixed names, read now; among them the shipped photograph, for those who have none."""

    def offer(route: str, content: bytes, media: str) -> None:
        @app.get(route, include_in_schema=False)
        async def answer() -> Response:
            return Response(content, media_type=media)

    for path in STATIC.iterdir():
        offer("/" if path.name == "index.html" else f"/{path.name}", path.read_bytes(), TYPES[path.suffix])
    offer("/sample.jpg", (files("prior_assets") / "samples" / "coffee.jpg").read_bytes(), "image/jpeg")


def _say_errors(app: FastAPI) -> None:
    """Every refusal is {"error": a line}."""

    @app.exception_handler(AnyHTTPException)
    async def refused(_: Request, error: AnyHTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg'].lower()}"}, 422)
