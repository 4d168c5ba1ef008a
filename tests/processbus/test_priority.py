"""What the process bus asks of the C library, looked at from a process of its own."""

import subprocess
import sys

SCRIPT = """
import threading
import numpy as np
from agent.heap import keep
from agent.processbus.priority import RESERVE

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def backlog():
    arrays = [np.ones(RESERVE // 32) for _ in range(3)]
    sizes.append(resident())

sizes = []
keep(RESERVE)
before = resident()
backlog()
thread = threading.Thread(target=backlog)
thread.start()
thread.join()
print(max(sizes) - before, RESERVE)
"""


def test_a_backlog_fits_into_the_heap_that_is_there_from_the_start():
    """In the loop's thread and in the one that records events; a stack is all that comes."""
    told = subprocess.check_output([sys.executable, "-c", SCRIPT], text=True)
    grown, reserve = map(int, told.split())
    assert grown < reserve / 16
