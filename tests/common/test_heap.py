"""Memory that is there before it is needed, looked at from a process of its own."""

import subprocess
import sys

RESIDENT = """
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
"""

ARRAYS = """
import threading
import numpy as np
from agent.heap import keep
from agent.processbus.priority import RESERVE

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

OBJECTS = """
import sys
from agent.heap import ROOM, SETTLED_S, Reserve

reserve = Reserve(begun_s=0.0)
reserve.look(SETTLED_S - 1.0)
early = resident()
reserve.look(SETTLED_S)
before = resident()
for _ in range(3):
    burst = [f"{n} of a burst" for n in range(int(0.75 * ROOM) // 72)]
    largest = resident()
    del burst
reserve.look(2 * SETTLED_S)
print(largest - before, before - early, resident() - early, ROOM)
"""


def told(script: str) -> list[int]:
    output = subprocess.check_output([sys.executable, "-c", RESIDENT + script], text=True)
    return [int(word) for word in output.split()]


def test_a_backlog_fits_into_the_heap_that_is_there_from_the_start():
    """In the loop's thread and in the one that records events; a stack is all that comes."""
    grown, reserve = told(ARRAYS)
    assert grown < reserve / 16


def test_the_objects_of_a_burst_fit_into_the_room_that_a_settled_process_takes_once():
    grown, taken, kept, room = told(OBJECTS)
    assert grown < room / 8  # the list itself
    assert room / 2 < taken < 1.1 * room
    assert kept > room / 2
