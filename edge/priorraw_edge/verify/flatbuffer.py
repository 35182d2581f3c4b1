"""What a .pte says of itself without being run: used where its delegate exists on other systems only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from priorraw.errors import InputError


@dataclass(frozen=True)
class ProgramShape:
    """Delegates by backend name, operators outside, and the shapes of inputs and outputs."""

    delegates: list[str]
    operators: list[str]
    inputs: list[list[int]]
    outputs: list[list[int]]


def read_program(path: Path) -> ProgramShape:
    """Parse the flatbuffer of a .pte.

    Raises:
        InputError: it is none.
    """
    from executorch.exir._serialize._program import deserialize_pte_binary

    try:
        plan: Any = deserialize_pte_binary(path.read_bytes()).program.execution_plan[0]
    except (OSError, ValueError, AssertionError, RuntimeError, IndexError) as error:
        raise InputError(f"{path}: not an ExecuTorch program ({error}); export the bundle again") from None

    def shapes(indices: list[int]) -> list[list[int]]:
        return [list(plan.values[i].val.sizes) for i in indices]

    return ProgramShape(
        [delegate.id for delegate in plan.delegates],
        [operator.name for operator in plan.operators],
        shapes(plan.inputs),
        shapes(plan.outputs),
    )


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
