"""Photographs in turn through models that are loaded once: what `reconstruct` does, whatever walks the photographs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from priorraw.progress import say

from priorraw_edge.runtime.hint import Hint, parse_hint
from priorraw_edge.runtime.memory import check_memory
from priorraw_edge.runtime.outputs import Job, check_size, write_stream
from priorraw_edge.runtime.spool import Spool, Spooled, Start, start_decoder

if TYPE_CHECKING:
    from priorraw.rendering import Rendering

    from priorraw_edge.runtime.engine import Engine


@dataclass(frozen=True)
class Settings:
    """What holds for every photograph; the options of `priorraw-edge reconstruct`."""

    camera: str | None = None
    bundle: Path | None = None
    bank: Path | None = None
    assets: Path | None = None
    threads: int | None = None
    hint: str = "none"
    keep_gps: bool = False
    max_memory: int | None = None
    public_key: Path | None = None


class Session:
    """The models that the photographs ask for, each loaded once.

    Raises:
        InputError: `settings.hint` is none.
    """

    def __init__(self, settings: Settings, start: Start = start_decoder):
        self._settings, self._start = settings, start
        self._given = None if settings.hint in ("exif", "none") else parse_hint(settings.hint)
        self._loaded: dict[str, Engine] = {}
        self._default = ""
        self._known: list[str] = []
        self._rendering: Rendering | None = None  # of the bank's camera, where a bank was given that tells it

    def load(self) -> None:
        """Load the model for photographs that name no known camera, or the one that was asked for."""
        from priorraw_edge.runtime.engine import known_cameras, rendering_in

        if not self._loaded:
            engine = self._open(self._settings.camera)
            self._loaded[engine.camera], self._default = engine, engine.camera
            self._known = known_cameras(self._settings.bundle, self._settings.assets)
            self._rendering = rendering_in(self._settings.bank)

    def spool(self, photo: Path, folder: Path) -> Spool:
        """Begin to decode a photograph, beside what will be written in `folder`."""
        hint = self._settings.hint == "exif"
        return Spool(photo, folder, hint=hint, megabytes=self._settings.max_memory, start=self._start)

    def rebuild(self, job: Job, photo: Spooled) -> dict[str, Any]:
        """Rebuild and write one decoded photograph; its facts for the user.

        Raises:
            InputError: see `check_size`, `check_memory`, `Stream` and `write_stream`.
        """
        from priorraw_edge.runtime.stream import Stream
        from priorraw_edge.runtime.which import choose_camera

        self.load()
        settings, source = self._settings, photo.source
        asked_for = settings.camera or settings.bank
        choice = choose_camera(photo.facts, self._known, self._default, self._default if asked_for else None)
        engine = self._engine(choice.camera)
        check_size(job, source.height, source.width)
        hint = self._given or photo.hint
        rendering = self._rendering if choice.straight else None
        notes = [*photo.notes_for(engine.camera), *choice.notes]
        if self._rendering and not rendering:
            notes.append(f"is not known to come straight from {choice.camera}: taken as rendered by our ISP")
        for note in notes:
            say(f"{job.photo}: {note}")
        stream = Stream(source, engine, job.photo.name, hint.neutral if hint else None, rendering)
        check_memory(str(job.photo), source.width, engine.tile_size, settings.max_memory)
        write_stream(stream, job, photo.facts if settings.keep_gps else photo.facts.without_gps())
        return {
            "photo": str(job.photo),
            "output": str(job.out),
            "reliability": str(job.reliability) if job.reliability else None,
            "format": job.file_format,
            "camera": stream.camera,
            "camera_reason": choice.reason,
            "bank_sha256": getattr(engine, "bank_sha256", None),  # not every engine reads a file
            "width": source.width,
            "height": source.height,
            "rendering": "camera" if rendering else "isp",
            "hint": _told(hint),
            "neutral": [round(float(value), 6) for value in stream.neutral()],
            "reliability_mean": round(stream.mean_reliability(), 4),
            "reliability_p05": round(stream.reliability_quantile(0.05), 4),
            "notes": notes,
        }

    def _open(self, camera: str | None) -> "Engine":
        from priorraw_edge.runtime.engine import open_engine

        settings = self._settings
        return open_engine(
            camera,
            bundle=settings.bundle,
            bank=settings.bank,
            assets=settings.assets,
            threads=settings.threads,
            public_key=settings.public_key,
        )

    def _engine(self, camera: str) -> "Engine":
        if camera not in self._loaded:
            self._loaded[camera] = self._open(camera)
        return self._loaded[camera]


def _told(hint: Hint | None) -> dict[str, Any] | None:
    if hint is None:
        return None
    return {"gains": [round(float(gain), 6) for gain in np.asarray(hint.gains)], "source": hint.source}
