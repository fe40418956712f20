#!/usr/bin/env python3
"""Checks that every #include goes down the house, never up or sideways (docs/architecture.md, "The floors")."""
import pathlib
import re
import subprocess
import sys

# Room -> the rooms it may include. A room may always include itself.
ROOMS = {
    "engine/base": [],
    "engine/tensor": ["engine/base"],
    "engine/quant": ["engine/tensor"],
    "engine/codec": ["engine/tensor"],
    "engine/kernels": ["engine/tensor"],
    "engine/graph": ["engine/tensor"],
    "engine/image": ["engine/tensor"],
    "engine/format": ["engine/graph", "engine/codec", "proto"],
    "engine/data": ["engine/image"],
    "engine/reference": ["engine/graph", "engine/kernels"],
    "engine/runtime": ["engine/reference"],
    "engine/compression": ["engine/reference", "engine/quant", "engine/codec"],
    "engine/study": ["engine/compression"],
    "engine/report": ["engine/base"],
    "engine/training": ["engine/compression", "engine/runtime", "engine/data"],
    "engine/tools": ["engine/report", "engine/study", "engine/training", "engine/compression", "engine/runtime", "engine/data",
                     "engine/format"],
    "proto": [],
    "server/observability": ["engine/base"],
    "server/repository": ["engine/runtime", "engine/format", "server/observability"],
    "server/scheduling": ["engine/runtime", "engine/image", "server/observability"],
    "server/pipeline": ["engine/codec", "server/scheduling", "server/repository", "proto"],
    "server/services": ["server/pipeline", "server/repository", "server/scheduling", "proto"],
    "server/main": ["server/services"],
    "clients": ["proto", "engine/base"],
}
# Headers of libraries that only some rooms may touch.
LIBRARIES = {
    r"opencv2/": {"engine/image"},
    r"grpc|grpcpp/": {"server/pipeline", "server/services", "server/main", "clients"},
    r"prometheus/": {"server/observability", "server/main"},
    r"google/protobuf/": {"engine/format", "server/services", "server/pipeline", "proto", "clients"},
    r"torch/|ATen/|c10/": {"engine/training"},
    r"immintrin\.h": {"engine/kernels", "engine/codec", "engine/base"},
}


def reachable(room):
    seen, todo = set(), [room]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += ROOMS[at]
    return seen


def room_of(path):
    parts = pathlib.PurePath(path).parts
    if parts[0] in ("proto", "clients"):
        return parts[0]
    return "/".join(parts[:2])


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.h", "*.cc"],
                           check=True, capture_output=True, text=True).stdout.split()
    wrong = []
    for path in files:
        if path.startswith("tests/") or not pathlib.Path(path).exists():
            continue
        room = room_of(path)
        if room not in ROOMS:
            wrong.append(f"{path}: its folder is no room of docs/architecture.md")
            continue
        allowed = reachable(room)
        for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
            if not match:
                continue
            target = match.group(1)
            if re.match(r"(engine|server|clients|proto|tests)/", target):
                if room_of(target) not in allowed:
                    wrong.append(f"{path}:{number}: {room} may not include {target}")
            for pattern, rooms in LIBRARIES.items():
                if re.match(pattern, target) and room not in rooms:
                    wrong.append(f"{path}:{number}: {room} may not include {target}")
    print("\n".join(wrong) if wrong else f"include directions: {len(files)} files, all downward")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
