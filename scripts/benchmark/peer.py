#!/usr/bin/env python3
"""Times one network in one peer: for every line on standard input, one line with the median milliseconds of a batch.

  peer.py onnxruntime|openvino NET.onnx THREADS

A process of its own, so that the environment (ONEDNN_MAX_CPU_ISA) can hold each peer to an instruction-set tier. Both
get their best documented settings for latency: all graph optimizations and the number of threads given.
"""
import statistics
import sys
import time

import numpy as np

SECONDS = 0.4


def onnxruntime_run(path, threads):
    import onnxruntime
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in value.shape]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return lambda: session.run(None, {value.name: image})


def openvino_run(path, threads):
    import openvino
    model = openvino.Core().read_model(path)
    if model.inputs[0].partial_shape.is_dynamic:
        model.reshape([1] + [d.get_length() for d in list(model.inputs[0].partial_shape)[1:]])
    request = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32",
    }).create_infer_request()
    image = np.random.default_rng(0).standard_normal(list(model.inputs[0].shape)).astype(np.float32)
    return lambda: request.infer({0: image})


def main():
    run = {"onnxruntime": onnxruntime_run, "openvino": openvino_run}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        run()
        times, end = [], time.perf_counter() + SECONDS
        while len(times) < 3 or time.perf_counter() < end:
            begin = time.perf_counter()
            run()
            times.append((time.perf_counter() - begin) * 1e3)
        print(statistics.median(times), flush=True)


if __name__ == "__main__":
    main()
