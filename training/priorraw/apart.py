"""Decoders in processes of their own: limits, and what to say of one that broke them or crashed."""

import resource
import signal


def limit(megabytes: int, seconds: int) -> None:
    """Limit this process: memory, and seconds of a processor; a damaged file may send a decoder round in circles."""
    for what, most in ((resource.RLIMIT_DATA, megabytes << 20), (resource.RLIMIT_CPU, seconds)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def why(code: int, said: bytes) -> str:
    """What became of a decoder, by its exit code and what it wrote on stderr."""
    if code == -signal.SIGXCPU:
        return "its decoder ran too long"
    if code == -signal.SIGKILL:
        return "its decoder was stopped from outside or ran too long (out of memory?)"
    if code < 0:
        return f"its decoder crashed ({signal.Signals(-code).name})"
    last = said.decode(errors="replace").strip().splitlines()[-1:]
    return f"its decoder failed ({' '.join(last)[:120]})"
