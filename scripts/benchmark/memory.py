#!/usr/bin/env python3
"""What serving one model costs: resident memory above that of a server without it, what of that the gauges count, and how
long the model takes from its file to its first answer.

  memory.py BITSTAGE_SERVER MODEL.bitstage [SMALL.bitstage]

The server without it serves SMALL, a model of some kilobytes (by default the first of deploy/models), as one with an
empty repository does not run. Resident memory is Rss of /proc/PID/smaps_rollup after the model has answered once.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        text = rollup.read()
    return {key: 1024 * int(re.search(rf"^{key}: +(\d+)", text, re.M)[1]) for key in ("Rss", "Private_Dirty")}


def serve(server, models):
    """Memory and gauges of a server of `models`, once it is ready: every model has answered once by then."""
    with tempfile.TemporaryDirectory() as root:
        for name, path in models.items():
            os.makedirs(f"{root}/{name}/1")
            shutil.copy(path, f"{root}/{name}/1/model.bitstage")
        process = subprocess.Popen([server, "--model-repository", root, "--host", "127.0.0.1", "--grpc-port", "0",
                                    "--metrics-port", "0"], stderr=subprocess.PIPE, text=True)
        try:
            log, stamps = "", {}
            for line in process.stderr:
                log += line
                if found := re.match(r"(\S+) info (loading|serving) (\S+)", line):
                    stamps[found[2], found[3]] = time.mktime(time.strptime(found[1][:19], "%Y-%m-%dT%H:%M:%S")) + float(
                        found[1][19:])
                if " ready" in line:
                    break
            port = re.search(r"listening on \S+:(\d+) \(metrics\)", log)[1]
            memory = resident(process.pid)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                page = answer.read().decode()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    gauges = {}
    for kind, name, value in re.findall(r'^bitstage_model_(\w+)_bytes\{model="([^"]+)"[^}]*\} (\S+)', page, re.M):
        gauges.setdefault(name, {})[kind] = float(value)
    loads = {name: 1e3 * (stamps["serving", name] - stamps["loading", name]) for kind, name in stamps if kind == "serving"}
    return memory, gauges, loads


def main():
    server, model = sys.argv[1:3]
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/models")
    small = sys.argv[3] if len(sys.argv) > 3 else next(
        os.path.join(parent, "model.bitstage") for parent, _, files in os.walk(folder) if "model.bitstage" in files)
    rounds = []
    for _ in range(5):
        without, _, _ = serve(server, {"small": small})
        both, gauges, loads = serve(server, {"small": small, "measured": model})
        rounds.append((both["Rss"] - without["Rss"], both["Private_Dirty"] - without["Private_Dirty"], gauges["measured"],
                       loads["measured"]))
    rounds.sort(key=lambda r: r[1])
    above, private, gauges, _ = rounds[len(rounds) // 2]
    counted = gauges["weight"] + gauges["arena"] + gauges["scratch"]
    print(json.dumps({"rss_above": above, "private_above": private, "weight_gauge": gauges["weight"],
                      "arena_gauge": gauges["arena"], "scratch_gauge": gauges["scratch"], "counted_share": round(counted / private, 3),
                      "load_ms": round(min(r[3] for r in rounds), 1)}))


if __name__ == "__main__":
    main()
