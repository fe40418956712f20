#!/usr/bin/env python3
"""What a busy neighbour does to a request that two threads share: its time while another process computes on every core,
over its idle time. A pool that waits for a worker without a CPU would be hundreds of times slower; half of each core is
what two fair processes get.

  neighbour.py BITSTAGE_MODEL MODEL.bitstage
"""
import json
import os
import statistics
import subprocess
import sys

ROUNDS = 5
LONGEST = 20  # seconds that a neighbour lives, whatever becomes of this program


def bench(tool, model):
    out = subprocess.run([tool, "bench", model, "--threads", "2", "--seconds", "1", "--json"], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])["ms"]


def main():
    tool, model = sys.argv[1:3]
    if os.sched_getscheduler(0) not in (os.SCHED_OTHER, os.SCHED_BATCH):
        return "neighbour.py shares CPUs with loops that only fair scheduling interrupts: not for a real-time process"
    cpus = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cpus)
    if len(cpus) < 2:
        return "neighbour.py needs two CPUs"
    idle, busy = [], []
    for _ in range(ROUNDS):
        idle.append(bench(tool, model))
        loops = [f"import os, time\nos.sched_setaffinity(0, [{cpu}])\nend = time.monotonic() + {LONGEST}\n"
                 "while time.monotonic() < end: pass" for cpu in cpus]
        neighbours = [subprocess.Popen([sys.executable, "-c", loop]) for loop in loops]
        try:
            busy.append(bench(tool, model))
        finally:
            for neighbour in neighbours:
                neighbour.kill()
                neighbour.wait()
    ratios = sorted(b / i for b, i in zip(busy, idle))
    print(json.dumps({"idle_ms": round(statistics.median(idle), 3), "busy_ms": round(statistics.median(busy), 3),
                      "ratio": round(statistics.median(ratios), 2), "low": round(ratios[0], 2),
                      "high": round(ratios[-1], 2)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
