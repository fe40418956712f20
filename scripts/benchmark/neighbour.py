#!/usr/bin/env python3
"""What a busy neighbour does to a request that two threads share: its time while another process computes on every core,
over its idle time. A pool that waits for a worker without a CPU would be hundreds of times slower; half of each core is
what two fair processes get, so that 2 is the best there is for the mean of requests; the median of requests shorter than
a turn of the scheduler may be anything from 1.

  neighbour.py BITSTAGE_MODEL MODEL.bitstage

Where other programs run too, fair scheduling shares the cores with them as well, and the figures mean little. Run as a
real-time process (chrt -f 10 neighbour.py …) it has the cores for itself, and the neighbours, a priority higher, take
every other three milliseconds of their core.
"""
import json
import os
import statistics
import subprocess
import sys

ROUNDS = 7
SECONDS = 0.4
LONGEST = 5  # seconds that a neighbour lives, whatever becomes of this program

FAIR = "while time.monotonic() < end: pass"
SLICES = """
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
while time.monotonic() < end:
    turn = time.monotonic() + 0.003
    while time.monotonic() < turn: pass
    time.sleep(0.003)
"""


def bench(tool, model):
    """Milliseconds of a request: {"mean", "median"}."""
    out = subprocess.run([tool, "bench", model, "--threads", "2", "--seconds", str(SECONDS), "--json"], check=True,
                         capture_output=True, text=True).stdout
    result = json.loads(out.splitlines()[-1])
    return {"mean": 1e3 * SECONDS / result["runs"], "median": result["ms"]}


def neighbour(cpu):
    loop = FAIR
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        loop = SLICES.replace("PRIORITY", str(os.sched_getparam(0).sched_priority + 1))
    return subprocess.Popen([sys.executable, "-c", f"import os, time\nos.sched_setaffinity(0, [{cpu}])\n"
                             f"end = time.monotonic() + {LONGEST}\n{loop}"])


def main():
    tool, model = sys.argv[1:3]
    cpus = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cpus)
    if len(cpus) < 2:
        return "neighbour.py needs two CPUs"
    idle, busy = [], []
    for _ in range(ROUNDS):
        idle.append(bench(tool, model))
        neighbours = [neighbour(cpu) for cpu in cpus]
        try:
            busy.append(bench(tool, model))
        finally:
            for process in neighbours:
                process.kill()
                process.wait()
    for kind in ("mean", "median"):
        ratios = sorted(b[kind] / i[kind] for b, i in zip(busy, idle))
        print(json.dumps({"of requests": kind, "idle_ms": round(statistics.median(i[kind] for i in idle), 3),
                          "busy_ms": round(statistics.median(b[kind] for b in busy), 3),
                          "ratio": round(statistics.median(ratios), 2), "low": round(ratios[0], 2),
                          "high": round(ratios[-1], 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
