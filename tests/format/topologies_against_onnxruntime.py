#!/usr/bin/env python3
"""Imports standard topologies and compares their outputs with onnxruntime's.

Makes ResNet-18, ResNet-50, MobileNet-v2, CIFAR ResNet-20 and ResNet-32 and SqueezeNet-1.1 with random weights
(peers/topologies.py of the shared folder), in float and as QDQ, for batches of 1 and 8, runs each with onnxruntime and
with `bitstage-model run`, and compares. Float: every output within 1e-4 of the outputs' range. QDQ: roundings to codes
may fall to either side, so the median error must be below 1 % of the range and the largest below 10 %.

    tests/format/topologies_against_onnxruntime.py build/release/bin/bitstage-model [--only NAME]

Exits 0 when all agree, 1 when one does not, 77 (skip) without onnxruntime or the shared folder.
"""

import argparse
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77


def load_topologies():
    root = os.environ.get("BITSTAGE_SHARED") or pathlib.Path(__file__).resolve().parents[2] / ".." / "shared"
    path = pathlib.Path(root) / "peers" / "topologies.py"
    if not path.exists():
        print(f"skipped: {path.name} is not in the shared folder (set BITSTAGE_SHARED)")
        sys.exit(SKIP)
    spec = importlib.util.spec_from_file_location("topologies", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(program, session, model, batch, quantized, folder):
    shape = session.get_inputs()[0].shape
    x = np.random.default_rng(batch).standard_normal(shape).astype(np.float32)
    np.save(folder / "x.npy", x)
    run = subprocess.run(
        [program, "run", model, "--input", folder / "x.npy", "-o", folder / "y.npy"], capture_output=True, text=True
    )
    if run.returncode != 0:
        return False, run.stderr.strip()
    expected = session.run(None, {session.get_inputs()[0].name: x})[0]
    found = np.load(folder / "y.npy")
    if found.shape != expected.shape:
        return False, f"shape {found.shape}, expected {expected.shape}"
    error = np.abs(found.astype(np.float64) - expected) / (expected.max() - expected.min())
    good = (np.median(error) < 0.01 and error.max() < 0.1) if quantized else error.max() <= 1e-4
    return good, f"largest error {error.max():.1e} of the range, median {np.median(error):.1e}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", help="the bitstage-model to test")
    parser.add_argument("--only", help="one topology")
    options = parser.parse_args()
    topologies = load_topologies()
    failures = 0
    for name, build in topologies.NETS.items():
        if options.only not in (None, name):
            continue
        for batch in (1, 8):
            for quantized in (0, 1):
                with tempfile.TemporaryDirectory() as temporary:
                    folder = pathlib.Path(temporary)
                    model = folder / f"{name}.onnx"
                    builder = topologies.B(quantized, batch)
                    builder.save(build(builder), str(model))
                    settings = onnxruntime.SessionOptions()
                    # The graph as written: fused integer kernels would round differently.
                    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                    session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
                    good, story = compare(options.program, session, model, batch, quantized, folder)
                failures += not good
                kind = "qdq" if quantized else "float"
                print(f"{'ok  ' if good else 'FAIL'} {name} {kind} batch {batch}: {story}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        import numpy as np
        import onnx  # noqa: F401  (topologies.py needs it)
        import onnxruntime
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(SKIP)
    sys.exit(main())
