"""The same work on many shards: on the threads of this machine, or on the workers of a Ray cluster.

Results come in the order of the items, whoever computed them, so that sums do not depend on how many workers there
were; and only a few are under way at a time, so that memory does not grow with their number.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from priorraw.errors import InputError

T = TypeVar("T")
AHEAD = 2  # results a worker may have under way


class Spread(Protocol):
    """Use as a context; `spread(function, items, *shared)` yields function(item, *shared) for every item."""

    def __call__(self, function: Callable[..., T], items: Iterable[Any], *shared: Any) -> Iterator[T]: ...

    def __enter__(self) -> "Spread": ...

    def __exit__(self, *_: object) -> None: ...


class Threads:
    """Threads of this process; matrix products run on one core each."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or os.cpu_count() or 1

    def __call__(self, function: Callable[..., T], items: Iterable[Any], *shared: Any) -> Iterator[T]:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1), ThreadPoolExecutor(self.workers) as pool:
            yield from _in_order(
                lambda item: pool.submit(function, item, *shared),
                lambda future: future.result(),
                items,
                self.workers * AHEAD,
            )

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class RayCluster:
    """Workers of a Ray cluster: that of RAY_ADDRESS or `ray start`, else one on this machine for the context.

    Files that items name must be where all of its machines see them. A worker that dies is replaced and its items are
    done again.
    """

    def __init__(self, workers: int | None = None):
        self.workers = workers

    def __call__(self, function: Callable[..., T], items: Iterable[Any], *shared: Any) -> Iterator[T]:
        import ray

        task = ray.remote(max_retries=3, num_cpus=1)(function)
        everywhere = [ray.put(value) for value in shared]
        workers = self.workers or int(ray.cluster_resources().get("CPU", 1))
        yield from _in_order(
            lambda item: task.remote(item, *everywhere), lambda made: ray.get(made), items, workers * AHEAD
        )

    def __enter__(self) -> "RayCluster":
        self._ours = connect()
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._ours:
            ray.shutdown()


def connect() -> bool:
    """Connect to a Ray cluster, or start one, unless this process is connected; whether it was not.

    Raises:
        InputError: Ray is not installed, or does not start.
    """
    import logging

    try:
        import ray
    except ImportError:
        raise InputError("--engine ray: Ray is not installed; pip install 'priorraw-edge[scale]'") from None
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # it warns otherwise
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except Exception as error:  # it raises no narrower type when its processes do not come up
        raise InputError(f"--engine ray: Ray does not start ({error}); see its logs in /tmp/ray") from None
    return True


def _in_order(submit: Callable[[Any], Any], result: Callable[[Any], T], items: Iterable[Any], most: int) -> Iterator[T]:
    under_way: deque[Any] = deque()
    for item in items:
        under_way.append(submit(item))
        if len(under_way) >= most:
            yield result(under_way.popleft())
    while under_way:
        yield result(under_way.popleft())
