"""What the page takes from its clients, and for how long it keeps what it made."""

from dataclasses import dataclass

MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    upload_bytes: int = 64 * MB
    upload_seconds: float = 120.0  # for the whole of an upload
    pixels: int = 64_000_000  # of a photograph
    decoder_megabytes: int = 2048  # memory of the process that decodes it
    job_seconds: float = 300.0  # decoding and rebuilding, once it is a job's turn
    waiting: int = 128  # jobs that upload, wait or run; more are told to come back
    kept_bytes: int = 4096 * MB  # of disk, for photographs that wait and results that are kept
    kept_seconds: float = 900.0  # since anybody asked for the result
    view_side: int = 2048  # pixels: long side of what the browser is sent, at most
    poll_seconds: float = 15.0  # that an answer to "what is new?" may be held back
