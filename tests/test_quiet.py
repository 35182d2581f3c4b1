"""What ExecuTorch's C++ says while it loads, and how many threads it takes."""

import os
import subprocess
import sys

import pytest
from priorraw_edge.quiet import quiet_executorch


def test_known_chatter_is_kept_and_all_else_passes(capfd):
    with quiet_executorch():
        os.write(2, b"[cpuinfo_utils.cpp:71] Reading file /sys/devices/soc0/image_version\nsomething is wrong\n")
        print("from Python", file=sys.stderr)
        os.write(2, b"[threadpool.cpp:66] Resetting threadpool to 1 threads.\n[method.cpp:7] Missing operator")
    os.write(2, b"\nafter")
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == sorted(
        ["something is wrong", "from Python", "[method.cpp:7] Missing operator", "after"]
    )


def test_what_is_said_before_a_failure_passes(capfd):
    with pytest.raises(RuntimeError), quiet_executorch():
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_threads_of_the_run_time_and_no_exporter():
    """In a process of its own: threads are set before the first program is loaded."""
    code = """
import sys
from priorraw_edge.quiet import quiet_executorch
from priorraw_edge.runtime.executorch import _library, set_threads
for threads in (3, 1):
    set_threads(threads)
    with quiet_executorch():
        print(_library("")._threadpool_get_thread_count(), "executorch.exir" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["3", "False", "1", "False"]
    assert ran.stderr == ""
