"""What a .pte says of itself without being run: used where its delegate exists on other systems only."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorraw.errors import InputError, reason


@dataclass(frozen=True)
class ProgramShape:
    """Delegates by backend name, operators outside, and the shapes of inputs and outputs."""

    delegates: list[str]
    operators: list[str]
    inputs: list[list[int]]
    outputs: list[list[int]]


@dataclass(frozen=True)
class Delegate:
    """What a .pte hands to a backend: its name, the bytes that it loads, and its compile specs by key."""

    backend: str
    blob: bytes
    specs: dict[str, bytes]


def read_program(path: Path) -> ProgramShape:
    """Parse the flatbuffer of a .pte.

    Raises:
        InputError: it is none.
    """
    plan = _deserialize(path).program.execution_plan[0]

    def shapes(indices: list[int]) -> list[list[int]]:
        return [list(plan.values[i].val.sizes) for i in indices]

    try:
        return ProgramShape(
            _names(delegate.id for delegate in plan.delegates),
            _names(operator.name for operator in plan.operators),
            shapes(plan.inputs),
            shapes(plan.outputs),
        )
    except (AttributeError, IndexError, TypeError) as error:  # an input that is no tensor
        raise _no_program(path, error) from None


def read_delegates(path: Path) -> list[Delegate]:
    """The delegates of a .pte in the order of the program.

    Raises:
        InputError: it is none.
    """
    program = _deserialize(path).program  # segments are back in place: every blob is inline
    return [
        Delegate(
            delegate.id,
            bytes(program.backend_delegate_data[delegate.processed.index].data),
            {spec.key: bytes(spec.value) for spec in delegate.compile_specs},
        )
        for delegate in program.execution_plan[0].delegates
    ]


def delegate_blob(path: Path) -> bytes:
    """The bytes that the backend of a .pte with one delegate loads; XNNPACK's weights lie in `named_data`.

    Raises:
        InputError: no .pte, or not one delegate.
    """
    delegates = read_delegates(path)
    if len(delegates) != 1:
        raise InputError(f"{path}: {len(delegates)} delegates, expected one; export the bundle again")
    return delegates[0].blob


def named_data(path: Path) -> dict[str, bytes]:
    """What delegates look up by key at run time, as XNNPACK does its weights (by their sha256).

    Raises:
        InputError: it is no .pte.
    """
    data = _deserialize(path).named_data
    return {} if data is None else {key: bytes(data.buffers[e.buffer_index]) for key, e in data.pte_data.items()}


def structure_faults(path: Path, described: dict[str, Any], backend: str) -> list[str]:
    """How the .pte differs from its entry in bundle.json; empty when it is one `backend` delegate that fits."""
    program = read_program(path)
    faults = []
    if program.delegates != [backend]:
        faults.append(f"delegates {program.delegates}, expected one {backend}")
    if program.operators:
        faults.append(f"operators outside the delegate: {', '.join(program.operators)}")
    for kind, found in (("inputs", program.inputs), ("outputs", program.outputs)):
        expected = [entry["shape"] for entry in described[kind]]
        if found != expected:
            faults.append(f"{kind} {found}, expected {expected}")
    return faults


def _names(values: Iterable[Any]) -> list[str]:
    names = list(values)
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a delegate or an operator has no name")
    return names


def _deserialize(path: Path) -> Any:
    """ExecuTorch's own PTEFile of a .pte with at least one method."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    try:
        file: Any = deserialize_pte_binary(path.read_bytes())
        if not file.program.execution_plan:
            raise ValueError("it holds no method")
    except (OSError, ValueError, AssertionError, RuntimeError, IndexError, TypeError, struct.error) as error:
        raise _no_program(path, error) from None
    return file


def _no_program(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not an ExecuTorch program ({reason(error)}); export the bundle again")
