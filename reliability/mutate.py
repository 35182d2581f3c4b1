"""Damage to files, drawn from a generator: bytes of any format, values of JSON, headers with their checksums mended.

Plain damage mostly fails at the first checksum or magic number; what mends them after the damage comes further in.
"""

import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

EDGES = (
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)


def damage_bytes(draw: random.Random, data: bytes) -> bytes:
    """One to eight changes: bits, bytes, numbers of 2 to 8 bytes, parts cut out, doubled, moved, or the end missing."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        if not changed:
            return b""
        at = draw.randrange(len(changed))
        length = min(draw.choice((1, 2, 4, 16, 64, 1024)), len(changed) - at)
        match draw.randrange(9):
            case 0:
                changed[at] ^= 1 << draw.randrange(8)
            case 1:
                changed[at] = draw.randrange(256)
            case 2 | 3:
                size, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
                number = draw.choice(EDGES) % (1 << 8 * size)
                changed[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
            case 4:
                del changed[at : at + length]
            case 5:
                changed[at:at] = changed[at : at + length] * draw.choice((1, 2, 50))
            case 6:
                changed[at : at + length] = bytes(draw.randrange(256) for _ in range(length))
            case 7:
                other = draw.randrange(len(changed))
                changed[at : at + length] = changed[other : other + length]
            case 8:
                del changed[at:]
    return bytes(changed)


NAMES = (
    "../outside",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../b",
    "a\\b",
    "\0",
    "x" * 5000,
    "ä\ud800",
    "link",
    "/dev/zero",
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**400), 0.5, 1e308, float("nan"), float("inf"), "", "0",
    [], {}, [[]], {"": {}}, [None], [0] * 1000, "\0", "x" * 100_000, *NAMES,
)  # fmt: skip


def damage_json(draw: random.Random, data: bytes) -> bytes:
    """Values of another type, size or range, names away or twice, endless nesting; or damaged text."""
    kind = draw.randrange(12)
    if kind == 0:
        return damage_bytes(draw, data)
    if kind == 1:
        deep = draw.choice((100, 2000, 100_000))
        return data.replace(b":", b":" + b"[" * deep + b"]" * deep + b",", 1) if draw.random() < 0.5 else b"[" * deep
    value = json.loads(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        value = _damage_value(draw, value)
    text = json.dumps(value).encode(errors="surrogatepass")
    if kind == 2 and isinstance(value, dict) and value:
        name = json.dumps(draw.choice(list(value)))
        return b"{" + name.encode() + b": 1, " + text[1:]
    return text


def _damage_value(draw: random.Random, value: Any) -> Any:
    """The value with something in it changed, at a random depth."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        changed = dict(value)
        name = draw.choice(list(changed))
        match draw.randrange(8):
            case 0:
                del changed[name]
            case 1:
                changed[draw.choice(NAMES)] = changed.pop(name)
            case _:
                changed[name] = _damage_value(draw, changed[name])
        return changed
    if isinstance(value, list) and value and draw.random() < 0.7:
        changed_list = list(value)
        at = draw.randrange(len(changed_list))
        match draw.randrange(5):
            case 0:
                del changed_list[at]
            case 1:
                changed_list *= 2
            case _:
                changed_list[at] = _damage_value(draw, changed_list[at])
        return changed_list
    if isinstance(value, int | float) and not isinstance(value, bool) and draw.random() < 0.5:
        return draw.choice((-value, value + 1, value * 2, value * 1000, value // 3, float("nan"), float("inf"), 0))
    return draw.choice(ODD)


def mended_png(draw: random.Random, data: bytes) -> bytes:
    """Damage within the chunks of a PNG, whose checksums are right again; chunks away, twice or out of order."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    i = draw.randrange(len(chunks))
    kind, body = chunks[i]
    match draw.randrange(6):
        case 0:
            del chunks[i]
        case 1:
            chunks.insert(draw.randrange(len(chunks) + 1), chunks[i])
        case 2 if kind == b"IDAT":
            try:
                chunks[i] = (kind, zlib.compress(damage_bytes(draw, zlib.decompress(body))))
            except zlib.error:
                chunks[i] = (kind, damage_bytes(draw, body))
        case 3:
            chunks[i] = (draw.choice((b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"tEXt", b"IHDR", b"IEND", b"acTL")), body)
        case _:
            chunks[i] = (kind, damage_bytes(draw, body))
    out = data[:8]
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def mended_zip(draw: random.Random, data: bytes) -> bytes:
    """Damage within the members of a zip file, whose checksums are right again; members away, twice, or renamed."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        members = [(name, old.read(name)) for name in old.namelist()]
        i = draw.randrange(len(members))
        name, body = members[i]
        match draw.randrange(6):
            case 0:
                del members[i]
            case 1:
                members.append((name, damage_bytes(draw, body)))
            case 2:
                members[i] = (draw.choice(("../raw.npy", "raw", "name.npy", "/raw.npy")), body)
            case _:  # the header of an array is its first 128 bytes
                damaged = (
                    damage_bytes(draw, body[:128]) + body[128:] if draw.random() < 0.6 else damage_bytes(draw, body)
                )
                members[i] = (name, damaged)
        for name, body in members:
            new.writestr(name, body)
    return out.getvalue()


def mended_safetensors(draw: random.Random, data: bytes) -> bytes:
    """Damage to the header of a safetensors file, whose length is right again."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    match draw.randrange(4):
        case 0:
            values = bytearray(body)
            at = draw.randrange(max(1, len(values) - 4))
            values[at // 4 * 4 : at // 4 * 4 + 4] = struct.pack(
                "<f", draw.choice((float("nan"), float("inf"), 1e38, -1.0))
            )
            body = bytes(values)
        case 1:
            header = header.replace(b"F32", draw.choice((b"F64", b"I8", b"BF16", b"F16", b"U8", b"BOOL", b"I64")), 1)
        case _:
            header = damage_json(draw, header)
    return len(header).to_bytes(8, "little") + header + body


def sealed_manifest(draw: random.Random, data: bytes) -> bytes:
    """A damaged bundle.json whose hash of itself is right again, where it is still an object."""
    from priorraw_edge.runtime.manifest import sealed

    damaged = damage_json(draw, data)
    try:
        value = json.loads(damaged)
        return sealed(value) if isinstance(value, dict) else damaged
    except (ValueError, RecursionError):
        return damaged
