"""A builder of ONNX graphs, and files of graphs that share one file of weights.

`graph("MatMul", x, y)` adds a node to a `Graph` and returns the name of its result. Arguments and results are names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 20, 9  # the first opset with Gelu; ONNX Runtime supports both since 1.17
MIN_EXTERNAL_BYTES = 1024  # smaller weights stay in the graph
ALIGNMENT = 4096  # a page, so that a runtime can map the file into memory
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Array = npt.NDArray[Any]
Shape = Sequence[int | str]


class Graph:
    """The nodes and weights of a graph.

    outer: the enclosing graph, for the body of a Scan. The body can use its names, and shares its weights.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.weights: dict[str, Array] = {} if outer is None else outer.weights
        self.names: set[str] = set() if outer is None else outer.names

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node, and returns the name of its single result."""
        return self.several(1, kind, *inputs, **attributes)[0]

    def several(self, results: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with several results, and returns their names."""
        names = [self.reserve(kind.lower()) for _ in range(results)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names

    def weight(self, name: str, value: Array) -> str:
        """Adds a named constant. Graphs that share it must use the same name."""
        self.names.add(name)
        self.weights[name] = np.asarray(value, order="C")  # ascontiguousarray would add an axis to a scalar
        return name

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        """Adds a small constant. Equal constants are shared."""
        array = np.asarray(value, kind)
        return self.weight(f"{array.dtype}:{array.tolist()}".replace(" ", ""), array)

    def input(self, name: str, kind: int = FLOAT, shape: Shape | None = None, default: Any = None) -> str:
        """Declares an input. kind: a type of `onnx.TensorProto`. An input with a default is optional."""
        self.names.add(name)
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if default is not None:
            self.weights[name] = np.asarray(default)
        return name

    def output(self, source: str, name: str, kind: int = FLOAT, shape: Shape | None = None) -> None:
        """Declares `source` as an output with a given name."""
        self.names.add(name)
        self.alias(source, name)
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def alias(self, source: str, name: str) -> None:
        """Gives `source` a reserved name."""
        self.nodes.append(helper.make_node("Identity", [source], [name], name=name))

    def scan(self, body: Graph, states: Sequence[str], sequences: Sequence[str], backwards: bool = False) -> list[str]:
        """Runs `body` along the first axis of `sequences`. Its inputs and outputs are the states, then the slices.

        backwards: from the last slice to the first. Each result has the index of its slice.
        """
        results = len(body.outputs) - len(states)
        directions = {"scan_input_directions": [int(backwards)] * len(sequences)}
        if results:
            directions["scan_output_directions"] = [int(backwards)] * results
        graph = helper.make_graph(body.nodes, self.reserve("body"), body.inputs, body.outputs)
        return self.several(
            len(body.outputs), "Scan", *states, *sequences, body=graph, num_scan_inputs=len(sequences), **directions
        )

    def absorb(self, model: onnx.ModelProto, inputs: dict[str, str]) -> dict[str, str]:
        """Copies another model's nodes and weights. inputs: its names -> names here. Returns this map for all names."""
        renamed = dict(inputs)
        for tensor in model.graph.initializer:
            renamed[tensor.name] = self.weight(f"traced.{tensor.name}", numpy_helper.to_array(tensor))
        for node in model.graph.node:
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise ValueError(f"a {node.op_type} node with a subgraph cannot be copied")
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            copied.ClearField("metadata_props")  # stack traces with paths of this machine
            for index, old in enumerate(node.output):
                if old:
                    renamed[old] = copied.output[index] = self.reserve(f"traced.{old}")
            for index, old in enumerate(node.input):
                copied.input[index] = renamed[old] if old else ""
            copied.name = copied.output[0]
            self.nodes.append(copied)
        return renamed

    def model(self) -> onnx.ModelProto:
        """The model of the outputs, without nodes and weights that they do not depend on."""
        producer = {name: node for node in self.nodes for name in node.output if name}
        order: list[onnx.NodeProto] = []
        seen: set[str] = set()
        stack = [(o.name, False) for o in reversed(self.outputs)]
        while stack:  # depth first: a node comes after its inputs
            name, ready = stack.pop()
            if ready:
                order.append(producer[name])
            elif name not in seen:
                seen.add(name)
                if name in producer:
                    seen.update(producer[name].output)
                    stack.append((name, True))
                    stack += [(x, False) for x in reversed(list(_reads(producer[name]))) if x]
        # unused inputs and weights are omitted
        graph = helper.make_graph(order, "model", [v for v in self.inputs if v.name in seen], self.outputs)
        graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in self.weights.items() if k in seen)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pct")

    def reserve(self, name: str) -> str:
        """A new name like this one, for a result; nodes may use it before `alias` defines it."""
        unique, number = name, 0
        while unique in self.names:
            number += 1
            unique = f"{name}_{number}"
        self.names.add(unique)
        return unique


def _reads(node: onnx.NodeProto) -> Iterable[str]:
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:  # the names of the body itself are not in the outer graph
                yield from _reads(inner)


def write(models: dict[str, onnx.ModelProto], folder: Path, weights: str) -> None:
    """Writes models (file name -> model) with their weights in one shared file.

    Weights with equal bytes are written once, whatever their names. The models are changed in place.
    """
    locations: dict[bytes, tuple[int, int]] = {}  # by the hash of the bytes
    with (folder / weights).open("wb") as file:
        for model in models.values():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) < MIN_EXTERNAL_BYTES:
                    continue
                content = hashlib.sha256(tensor.raw_data).digest()
                if content not in locations:
                    file.write(b"\0" * (-file.tell() % ALIGNMENT))
                    locations[content] = (file.tell(), len(tensor.raw_data))
                    file.write(tensor.raw_data)
                offset, length = locations[content]
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in (("location", weights), ("offset", offset), ("length", length)):
                    tensor.external_data.add(key=key, value=str(value))
        file.flush()
        os.fsync(file.fileno())
    for name, model in models.items():
        (folder / name).write_bytes(model.SerializeToString())
