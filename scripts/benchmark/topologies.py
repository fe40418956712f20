#!/usr/bin/env python3
"""Writes well-known networks with random weights as ONNX files: float32, and as int8 (QDQ) for the peers.

  topologies.py FOLDER [NAME…]

Speed does not depend on what the weights are, and these need no download. The int8 form is made by ONNX Runtime's own
static quantizer: u8 activations, s8 weights with a scale per output channel, calibrated on random images.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """A graph under construction; every method takes the name of a value and returns the name of the next."""

    def __init__(self, shape):
        self.nodes, self.constants, self.channels = [], [], {"image": shape[0]}
        self.shape, self.random = shape, np.random.default_rng(7)

    def _emit(self, op, inputs, channels, **attributes):
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.channels[name] = channels
        return name

    def _constant(self, values):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def conv(self, x, outputs, kernel, stride=1, groups=1, activation="Relu", pad=None):
        inputs = self.channels[x]
        fan_in = inputs // groups * kernel * kernel
        weights = self.random.normal(0, np.sqrt(2 / fan_in), (outputs, inputs // groups, kernel, kernel))
        bias = self.random.normal(0, 0.05, outputs)
        pad = kernel // 2 if pad is None else pad
        y = self._emit("Conv", [x, self._constant(weights), self._constant(bias)], outputs, kernel_shape=[kernel] * 2,
                       strides=[stride] * 2, pads=[pad] * 4, group=groups)
        if activation == "Relu6":
            return self._emit("Clip", [y, self._constant(0), self._constant(6)], outputs)
        return self._emit(activation, [y], outputs) if activation else y

    def add(self, a, b, activation="Relu"):
        y = self._emit("Add", [a, b], self.channels[a])
        return self._emit(activation, [y], self.channels[a]) if activation else y

    def max_pool(self, x, kernel, stride, pad=0, ceil=0):
        return self._emit("MaxPool", [x], self.channels[x], kernel_shape=[kernel] * 2, strides=[stride] * 2,
                          pads=[pad] * 4, ceil_mode=ceil)

    def concat(self, *parts):
        return self._emit("Concat", list(parts), sum(self.channels[p] for p in parts), axis=1)

    def flat_mean(self, x):
        pooled = self._emit("GlobalAveragePool", [x], self.channels[x])
        return self._emit("Flatten", [pooled], self.channels[x])

    def fully_connected(self, x, outputs):
        inputs = self.channels[x]
        weights = self.random.normal(0, np.sqrt(1 / inputs), (outputs, inputs))
        return self._emit("Gemm", [x, self._constant(weights), self._constant(np.zeros(outputs))], outputs, transB=1)

    def model(self, output, batch):
        graph = helper.make_graph(
            self.nodes, "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *self.shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, self.channels[output]])], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def residual_stage(net, x, width, blocks, stride, expansion):
    for i in range(blocks):
        step = stride if i == 0 else 1
        out = width * expansion
        if expansion == 1:
            y = net.conv(net.conv(x, width, 3, step), out, 3, activation=None)
        else:
            y = net.conv(net.conv(net.conv(x, width, 1), width, 3, step), out, 1, activation=None)
        same = net.channels[x] == out and step == 1
        x = net.add(y, x if same else net.conv(x, out, 1, step, activation=None, pad=0))
    return x


def imagenet_resnet(blocks, expansion):
    net = Builder((3, 224, 224))
    x = net.max_pool(net.conv("image", 64, 7, 2), 3, 2, 1)
    for i, count in enumerate(blocks):
        x = residual_stage(net, x, 64 << i, count, 1 if i == 0 else 2, expansion)
    return net, net.fully_connected(net.flat_mean(x), 1000)


def cifar_resnet(depth):
    net = Builder((3, 32, 32))
    x = net.conv("image", 16, 3)
    for i in range(3):
        x = residual_stage(net, x, 16 << i, (depth - 2) // 6, 1 if i == 0 else 2, 1)
    return net, net.fully_connected(net.flat_mean(x), 10)


def mobilenet_v2():
    net = Builder((3, 224, 224))
    x = net.conv("image", 32, 3, 2, activation="Relu6")
    for expand, width, count, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                         (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(count):
            step, hidden = stride if i == 0 else 1, net.channels[x] * expand
            y = x if expand == 1 else net.conv(x, hidden, 1, activation="Relu6")
            y = net.conv(y, hidden, 3, step, groups=hidden, activation="Relu6")
            y = net.conv(y, width, 1, activation=None)
            x = net.add(y, x, None) if step == 1 and net.channels[x] == width else y
    return net, net.fully_connected(net.flat_mean(net.conv(x, 1280, 1, activation="Relu6")), 1000)


def squeezenet():
    net = Builder((3, 224, 224))
    x = net.max_pool(net.conv("image", 64, 3, 2, pad=0), 3, 2, ceil=1)
    for i, (squeeze, expand) in enumerate(((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256),
                                           (64, 256))):
        s = net.conv(x, squeeze, 1)
        x = net.concat(net.conv(s, expand, 1), net.conv(s, expand, 3))
        if i in (1, 3):
            x = net.max_pool(x, 3, 2, ceil=1)
    return net, net.flat_mean(net.conv(x, 1000, 1))


def product(size):
    net = Builder((size,))
    return net, net.fully_connected("image", size)


NETWORKS = {
    "resnet18": lambda: imagenet_resnet((2, 2, 2, 2), 1),
    "resnet50": lambda: imagenet_resnet((3, 4, 6, 3), 4),
    "mobilenetv2": mobilenet_v2,
    "squeezenet11": squeezenet,
    "resnet20": lambda: cifar_resnet(20),
    "fc4096": lambda: product(4096),
}


def with_batch(model, batch):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in [*copy.graph.input, *copy.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del copy.graph.value_info[:]
    return copy


def quantize(source, target):
    """The int8 (QDQ) form of the float network in the file `source`, of batch 1."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class RandomImages(CalibrationDataReader):
        def __init__(self):
            graph = onnx.load(source).graph
            constants = {c.name for c in graph.initializer}
            value = next(v for v in graph.input if v.name not in constants)
            shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
            random = np.random.default_rng(1)
            self.batches = iter([{value.name: random.standard_normal(shape).astype(np.float32)} for _ in range(2)])

        def get_next(self):
            return next(self.batches, None)

    quantize_static(source, target, RandomImages(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def write(folder, name):
    path = os.path.join(folder, name)
    if os.path.exists(f"{path}.b8.int8.onnx"):
        return
    net, output = NETWORKS[name]()
    onnx.save(net.model(output, 1), f"{path}.onnx")
    quantize(f"{path}.onnx", f"{path}.b1.int8.onnx")
    onnx.save(with_batch(onnx.load(f"{path}.b1.int8.onnx"), 8), f"{path}.b8.int8.onnx")
    print(f"{path}.onnx and its int8 forms written", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for network in sys.argv[2:] or NETWORKS:
        write(sys.argv[1], network)
