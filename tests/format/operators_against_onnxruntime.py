#!/usr/bin/env python3
"""Imports one small model for each form of each operator and compares its output with onnxruntime's.

    tests/format/operators_against_onnxruntime.py build/release/bin/bitstage-model [--only TEXT]

Exits 0 when all agree within 1e-5, 1 when one does not, 77 (skip) without onnx and onnxruntime.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

SKIP = 77
CASES = []


def case(name, opset, nodes, constants=None, shape=(1, 4, 9, 7)):
    """nodes: (operator, inputs, outputs, attributes); reads "x", makes "y"."""
    CASES.append((f"{name} opset {opset}", opset, nodes, constants or {}, shape))


def single(name, opset, operator, inputs="x", constants=None, shape=(1, 4, 9, 7), **attributes):
    case(name, opset, [(operator, inputs.split(","), ["y"], attributes)], constants, shape)


def floats(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def add_linear():
    w = {"w": floats(6, 4, 3, 3), "b": floats(6)}
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        for stride in (1, 2, 3):
            single(f"Conv {pad} stride {stride}", 11, "Conv", "x,w,b", w, auto_pad=pad, strides=[stride, stride])
        if pad == "VALID":  # onnxruntime has no dilation with SAME_*
            single(f"Conv {pad} dilated", 11, "Conv", "x,w", w, auto_pad=pad, dilations=[2, 1], kernel_shape=[3, 3])
        single(f"MaxPool {pad}", 12, "MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad=pad)
        single(f"AveragePool {pad}", 11, "AveragePool", kernel_shape=[3, 2], strides=[2, 3], auto_pad=pad)
    single("Conv uneven pads", 9, "Conv", "x,w,b", w, pads=[0, 1, 2, 3], strides=[2, 1])
    single("Conv groups", 13, "Conv", "x,w", {"w": floats(6, 2, 3, 1)}, group=2, pads=[1, 0, 1, 0])
    single("Conv depthwise", 21, "Conv", "x,w", {"w": floats(8, 1, 3, 3)}, group=4, dilations=[1, 2])
    wt = {"w": floats(4, 3, 3, 2), "b": floats(3)}
    single("ConvTranspose", 11, "ConvTranspose", "x,w,b", wt)
    single("ConvTranspose groups", 11, "ConvTranspose", "x,w", wt, group=2, strides=[2, 3], pads=[1, 0, 0, 1])
    single("ConvTranspose output_padding", 11, "ConvTranspose", "x,w", wt, strides=[2, 3], output_padding=[1, 2])
    single("ConvTranspose dilated", 11, "ConvTranspose", "x,w", wt, dilations=[2, 2], strides=[2, 1])
    single("ConvTranspose SAME_UPPER", 11, "ConvTranspose", "x,w", wt, auto_pad="SAME_UPPER", strides=[2, 2])
    single("ConvTranspose SAME_LOWER", 11, "ConvTranspose", "x,w", wt, auto_pad="SAME_LOWER", strides=[2, 2])
    single("ConvTranspose output_shape", 11, "ConvTranspose", "x,w", wt, output_shape=[18, 14], strides=[2, 2])
    single("ConvTranspose output_shape odd", 11, "ConvTranspose", "x,w", wt, output_shape=[17, 13], strides=[2, 2])
    row = (2, 5)
    single("Gemm", 9, "Gemm", "x,w,b", {"w": floats(5, 3), "b": floats(3)}, row)
    single(
        "Gemm transB alpha beta",
        13,
        "Gemm",
        "x,w,b",
        {"w": floats(3, 5), "b": floats(1, 3)},
        row,
        transB=1,
        alpha=0.5,
        beta=2.0,
    )
    single("Gemm scalar bias", 13, "Gemm", "x,w,b", {"w": floats(5, 3), "b": floats(1)}, row)
    single("Gemm no bias", 13, "Gemm", "x,w", {"w": floats(5, 3)}, row)
    single("MatMul", 13, "MatMul", "x,w", {"w": floats(5, 3)}, row)
    single("MatMul of images", 13, "MatMul", "x,w", {"w": floats(7, 3)}, (2, 4, 9, 7))
    single("MatMul weights first", 13, "MatMul", "w,x", {"w": floats(3, 9)}, (2, 4, 9, 7))
    single("MatMul weights with outer axes", 13, "MatMul", "x,w", {"w": floats(1, 1, 7, 3)}, (2, 4, 9, 7))
    bn = {"s": floats(4), "b": floats(4), "m": floats(4), "v": abs(floats(4)) + 0.1}
    single("BatchNormalization", 9, "BatchNormalization", "x,s,b,m,v", bn, epsilon=1e-3, momentum=0.9)
    single("BatchNormalization", 15, "BatchNormalization", "x,s,b,m,v", bn)


def add_pooling():
    for ceil in (0, 1):
        for include in (0, 1):
            single(
                f"AveragePool ceil {ceil} include {include}",
                11,
                "AveragePool",
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 0, 1, 0],
                ceil_mode=ceil,
                count_include_pad=include,
            )
        single(
            f"MaxPool ceil {ceil}",
            12,
            "MaxPool",
            kernel_shape=[2, 3],
            strides=[2, 2],
            ceil_mode=ceil,
            pads=[0, 1, 0, 1],
            dilations=[2, 1],
        )
    single("GlobalAveragePool", 9, "GlobalAveragePool")
    single("ReduceMean", 11, "ReduceMean", axes=[2, 3], keepdims=0)
    single("ReduceMean negative", 13, "ReduceMean", axes=[-1, -2])
    single("ReduceMean input axes", 18, "ReduceMean", "x,a", {"a": ints(2, 3)}, keepdims=0)


def add_elementwise():
    single("Clip attributes", 9, "Clip", min=-0.5, max=0.25)
    single("Clip attribute", 9, "Clip", min=0.1)
    single("Clip inputs", 11, "Clip", "x,a,b", {"a": np.float32(-0.5), "b": np.float32(0.25)})
    single("Clip upper", 13, "Clip", "x,,b", {"b": np.float32(0.25)})
    single("Clip none", 13, "Clip")
    for name in ("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Tanh"):
        single(name, 9, name)
    single("LeakyRelu slope", 16, "LeakyRelu", alpha=0.3)
    single("HardSigmoid slope", 13, "HardSigmoid", alpha=1 / 6, beta=0.4)
    single("HardSwish", 14, "HardSwish")
    for name in ("Add", "Sub", "Mul", "Div"):
        for shape in ((), (1,), (7,), (4, 1, 1), (1, 4, 1, 1), (4, 9, 7), (9, 1)):
            constant = {"c": floats(*shape) + np.float32(3)}
            single(f"{name} {shape}", 13, name, "x,c", constant)
            if name != "Div":
                single(f"{name} {shape} constant first", 13, name, "c,x", constant)
        if name != "Div":
            case(f"{name} activations", 13, [("Relu", ["x"], ["r"], {}), (name, ["x", "r"], ["y"], {})])
    case("Mul broadcasts activations", 13, [("GlobalAveragePool", ["x"], ["g"], {}), ("Mul", ["x", "g"], ["y"], {})])
    case("Sub broadcasts the first", 13, [("GlobalAveragePool", ["x"], ["g"], {}), ("Sub", ["g", "x"], ["y"], {})])
    single("Softmax", 13, "Softmax", axis=1)
    single("Softmax default", 13, "Softmax")
    single("Softmax flattening", 9, "Softmax", shape=(2, 5))
    single("Softmax flattening ones", 11, "Softmax", shape=(2, 5, 1, 1))
    for last in (0, 1):
        case(
            f"ArgMax {last}",
            13,
            [
                ("Clip", ["x", "lo", "hi"], ["c"], {}),
                ("ArgMax", ["c"], ["y"], {"axis": 1, "keepdims": 1 - last, "select_last_index": last}),
            ],
            {"lo": np.float32(-0.2), "hi": np.float32(0.2)},
        )


def add_shapes():
    single("Flatten", 9, "Flatten", shape=(2, 3, 4, 5))
    single("Flatten negative", 13, "Flatten", shape=(2, 3, 4, 5), axis=-3)
    single("Reshape", 9, "Reshape", "x,s", {"s": ints(0, -1)}, (2, 3, 4, 5))
    single("Reshape splits", 14, "Reshape", "x,s", {"s": ints(0, 3, 2, -1)}, (2, 3, 4, 5))
    single("Squeeze", 9, "Squeeze", axes=[2, -1], shape=(2, 3, 1, 1))
    single("Squeeze", 13, "Squeeze", "x,a", {"a": ints(2)}, (2, 3, 1, 1))
    single("Squeeze all", 13, "Squeeze", shape=(2, 3, 1, 1))
    single("Unsqueeze", 9, "Unsqueeze", axes=[2, 3], shape=(2, 3))
    single("Unsqueeze", 13, "Unsqueeze", "x,a", {"a": ints(-1, 2)}, (2, 3))
    single("Transpose", 13, "Transpose", perm=[0, 2, 3, 1])
    case(
        "Identity and Dropout",
        13,
        [("Identity", ["x"], ["i"], {}), ("Dropout", ["i"], ["d"], {}), ("Relu", ["d"], ["y"], {})],
    )
    case("Dropout", 9, [("Dropout", ["x"], ["d"], {"ratio": 0.3}), ("Relu", ["d"], ["y"], {})])
    case("Output is an alias of the input", 13, [("Identity", ["x"], ["y"], {})])
    case(
        "Channel shuffle",
        13,
        [
            ("Reshape", ["x", "s"], ["a"], {}),
            ("Transpose", ["a"], ["b"], {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", ["b", "t"], ["y"], {}),
        ],
        {"s": ints(0, 2, 2, 9, 7), "t": ints(0, 4, 9, 7)},
    )


def add_movement():
    for axis in (1, 2, -1):
        case(f"Concat {axis}", 13, [("Relu", ["x"], ["r"], {}), ("Concat", ["x", "r", "x"], ["y"], {"axis": axis})])
    single("Pad attributes", 9, "Pad", pads=[0, 1, 0, 2, 0, 0, 3, 1], value=0.5)
    single("Pad inputs", 11, "Pad", "x,p,v", {"p": ints(0, 1, 0, 2, 0, 0, 3, 1), "v": np.float32(-1)})
    single("Pad axes", 18, "Pad", "x,p,,a", {"p": ints(1, 2, 3, 4), "a": ints(-1, 1)})
    single("Slice attributes", 9, "Slice", starts=[1, -3], ends=[3, 100], axes=[1, 3])
    single(
        "Slice inputs",
        10,
        "Slice",
        "x,s,e,a,t",
        {"s": ints(0, 1), "e": ints(9, 2**62), "a": ints(2, -1), "t": ints(2, 3)},
    )
    single("Slice whole batch", 13, "Slice", "x,s,e", {"s": ints(0, 1), "e": ints(2**63 - 1, 3)}, (2, 4, 3, 3))
    for opset, inputs, constants, attributes in (
        (9, "x", {}, {"split": [1, 3]}),
        (13, "x,s", {"s": ints(1, 3)}, {}),
        (13, "x", {}, {}),
        (18, "x", {}, {"num_outputs": 2}),
    ):
        case(
            f"Split {inputs} {attributes}",
            opset,
            [
                ("Split", inputs.split(","), ["a", "b"], {"axis": 1, **attributes}),
                ("Concat", ["b", "a"], ["y"], {"axis": 1}),
            ],
            constants,
        )
    case(
        "Split unevenly", 18, [("Split", ["x"], ["a", "b"], {"axis": 2, "num_outputs": 2}), ("Relu", ["b"], ["y"], {})]
    )


def add_resize():
    modes = [("half_pixel", 11), ("pytorch_half_pixel", 11), ("align_corners", 11), ("asymmetric", 13)]
    for coordinates, opset in modes:
        for sizes in ((18, 14), (5, 5), (1, 1), (13, 20)):
            single(
                f"Resize linear {coordinates} {sizes}",
                opset,
                "Resize",
                "x,r,e,s",
                {"r": floats(0), "e": floats(0), "s": ints(1, 4, *sizes)},
                mode="linear",
                coordinate_transformation_mode=coordinates,
            )
            for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
                single(
                    f"Resize nearest {coordinates} {rounding} {sizes}",
                    opset,
                    "Resize",
                    "x,r,e,s",
                    {"r": floats(0), "e": floats(0), "s": ints(1, 4, *sizes)},
                    mode="nearest",
                    coordinate_transformation_mode=coordinates,
                    nearest_mode=rounding,
                )
    for scales in ((2, 2), (1.5, 2.25), (0.6, 0.7)):
        scale = {"s": np.array((1, 1) + scales, np.float32), "s2": np.array(scales, np.float32)}
        single(f"Resize scales {scales}", 13, "Resize", "x,,s", scale, mode="linear")
        single(f"Resize scales on axes {scales}", 18, "Resize", "x,,s2", scale, mode="nearest", axes=[2, 3])
    up = {"s": np.array([1, 1, 2, 3], np.float32)}
    for mode in ("nearest", "linear"):
        single(f"Upsample {mode}", 9, "Upsample", "x,s", up, mode=mode)
        single(f"Resize {mode}", 10, "Resize", "x,s", up, mode=mode)


def add_folding():
    case(
        "Flatten by Shape and Gather",
        11,
        [
            ("Shape", ["x"], ["s"], {}),
            ("Gather", ["s", "zero"], ["n"], {}),
            ("Unsqueeze", ["n"], ["nu"], {"axes": [0]}),
            ("Concat", ["nu", "minus"], ["t"], {"axis": 0}),
            ("Reshape", ["x", "t"], ["y"], {}),
        ],
        {"zero": np.int64(0), "minus": ints(-1)},
        (2, 3, 4, 5),
    )
    case(
        "Pad by ConstantOfShape",
        11,
        [
            ("ConstantOfShape", ["four"], ["z"], {"value": np.zeros(1, np.int64)}),
            ("Concat", ["p", "z"], ["c"], {"axis": 0}),
            ("Reshape", ["c", "pairs"], ["r"], {}),
            ("Slice", ["r", "s", "e", "a", "t"], ["f"], {}),
            ("Transpose", ["f"], ["tr"], {}),
            ("Reshape", ["tr", "minus"], ["fl"], {}),
            ("Cast", ["fl"], ["pi"], {"to": 7}),
            ("Pad", ["x", "pi"], ["y"], {}),
        ],
        {
            "four": ints(4),
            "p": ints(1, 2, 3, 4),
            "pairs": ints(-1, 2),
            "s": ints(-1),
            "e": ints(-(2**63) + 1),
            "a": ints(0),
            "t": ints(-1),
            "minus": ints(-1),
        },
    )
    case(
        "Resize by arithmetic on Shape",
        11,
        [
            ("Shape", ["x"], ["s"], {}),
            ("Slice", ["s", "i2", "i4", "i0"], ["hw"], {}),
            ("Cast", ["hw"], ["f"], {"to": 1}),
            ("Mul", ["f", "k"], ["m"], {}),
            ("Floor", ["m"], ["fl"], {}),
            ("Cast", ["fl"], ["i"], {"to": 7}),
            ("Slice", ["s", "i0", "i2", "i0"], ["nc"], {}),
            ("Concat", ["nc", "i"], ["o"], {"axis": 0}),
            (
                "Resize",
                ["x", "roi", "roi", "o"],
                ["y"],
                {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
            ),
        ],
        {"i0": ints(0), "i2": ints(2), "i4": ints(4), "k": np.array([1.5, 2], np.float32), "roi": floats(0)},
    )
    case(
        "Slice by Div and Range",
        13,
        [
            ("Shape", ["x"], ["s"], {}),
            ("Gather", ["s", "one"], ["c"], {"axis": 0}),
            ("Div", ["c", "two"], ["h"], {}),
            ("Add", ["h", "one0"], ["h1"], {}),
            ("Sub", ["h1", "one0"], ["h2"], {}),
            ("Range", ["zero", "h2", "one0"], ["r"], {}),
            ("Gather", ["r", "last"], ["g"], {}),
            ("Slice", ["x", "g", "c", "one"], ["y"], {}),
        ],
        {"one": ints(1), "two": np.int64(2), "one0": np.int64(1), "zero": np.int64(0), "last": ints(-1)},
    )
    case(
        "Constants of every kind",
        13,
        [
            ("Constant", [], ["a"], {"value_float": 2.0}),
            ("Constant", [], ["b"], {"value_floats": [1.0, 2, 3, 4, 5, 6, 7]}),
            ("Constant", [], ["s"], {"value_ints": [0, 4, 63]}),
            ("Mul", ["x", "a"], ["m"], {}),
            ("Add", ["m", "b"], ["n"], {}),
            ("Reshape", ["n", "s"], ["y"], {}),
        ],
    )
    case(
        "Shape start",
        15,
        [
            ("Shape", ["x"], ["s"], {"start": 1, "end": -1}),
            ("Concat", ["z", "s", "m"], ["t"], {"axis": 0}),
            ("Reshape", ["x", "t"], ["y"], {}),
        ],
        {"z": ints(0), "m": ints(-1)},
    )
    single("Half weights", 13, "Mul", "x,c", {"c": np.float32(1)})


def add_quantization():
    u8, s8 = {"s": np.float32(0.05), "z": np.uint8(100)}, {"s": np.float32(0.05), "z": np.int8(-3)}
    for opset in (10, 13, 19, 21):
        for kind, constants in (("u8", u8), ("s8", s8)):
            case(
                f"QDQ {kind}",
                opset,
                [("QuantizeLinear", ["x", "s", "z"], ["q"], {}), ("DequantizeLinear", ["q", "s", "z"], ["y"], {})],
                constants,
            )
    case(
        "QDQ channels",
        13,
        [
            ("QuantizeLinear", ["x", "s", "z"], ["q"], {"axis": 1}),
            ("DequantizeLinear", ["q", "s", "z"], ["y"], {"axis": 1}),
        ],
        {"s": np.array([0.1, 0.2, 0.05, 0.3], np.float32), "z": np.zeros(4, np.uint8)},
    )
    case(
        "Quantized weights",
        13,
        [("DequantizeLinear", ["w", "s", "z"], ["wf"], {"axis": 0}), ("Conv", ["x", "wf"], ["y"], {})],
        {
            "w": np.random.default_rng(1).integers(-127, 128, (3, 4, 3, 3)).astype(np.int8),
            "s": np.array([0.1, 0.2, 0.3], np.float32),
            "z": np.zeros(3, np.int8),
        },
    )
    case(
        "Weights through QDQ",
        13,
        [
            ("QuantizeLinear", ["w", "s", "z"], ["q"], {}),
            ("DequantizeLinear", ["q", "s", "z"], ["wf"], {}),
            ("Conv", ["x", "wf"], ["y"], {}),
        ],
        {"w": floats(3, 4, 3, 3), **s8},
    )


def make_model(opset, nodes, constants, shape):
    def attribute(value):
        return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value

    made = [
        helper.make_node(
            operator,
            [i if i != "-" else "" for i in inputs],
            outputs,
            **{k: attribute(v) for k, v in attributes.items()},
        )
        for operator, inputs, outputs, attributes in nodes
    ]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape[1:]])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = min(model.ir_version, 10)
    return model


def check(program, opset, nodes, constants, shape, folder):
    model = make_model(opset, nodes, constants, shape)
    # Types and shapes of the output come from onnx, as its list of graph outputs must have them.
    inferred = onnx.shape_inference.infer_shapes(model)
    produced = [v for v in inferred.graph.value_info if v.name == "y"] or [
        v for v in inferred.graph.output if v.name == "y"
    ]
    del model.graph.output[:]
    kind = produced[0].type.tensor_type.elem_type or TensorProto.FLOAT
    model.graph.output.append(helper.make_tensor_value_info("y", kind, None))
    onnx.save(model, folder / "m.onnx")
    x = floats(*shape, seed=2)
    np.save(folder / "x.npy", x)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        expected = session.run(None, {"x": x})[0]
    except Exception as refusal:  # its exception classes share no narrower base
        return f"onnxruntime itself refuses: {refusal}"
    run = subprocess.run(
        [program, "run", folder / "m.onnx", "--input", folder / "x.npy", "-o", folder / "y.npy"],
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        return run.stderr.strip()
    found = np.load(folder / "y.npy")
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    error = np.abs(found.astype(np.float64) - expected).max()
    return "" if error <= 1e-5 * max(1, np.abs(expected).max()) else f"differs by up to {error:.3g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", help="the bitstage-model to test")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    options = parser.parse_args()
    for add in (
        add_linear,
        add_pooling,
        add_elementwise,
        add_shapes,
        add_movement,
        add_resize,
        add_folding,
        add_quantization,
    ):
        add()
    failures = 0
    cases = [c for c in CASES if options.only in c[0]]
    with tempfile.TemporaryDirectory() as temporary:
        for name, *rest in cases:
            story = check(options.program, *rest, pathlib.Path(temporary))
            if story:
                failures += 1
                print(f"FAIL {name}: {story}", flush=True)
    print(f"{len(cases) - failures} of {len(cases)} forms agree with onnxruntime {onnxruntime.__version__}")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    try:
        import numpy as np
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(SKIP)
    sys.exit(main())
