"""ONNX graphs written as calls, and graphs that share one file of weights.

A `Graph` collects nodes: `graph("MatMul", x, y)` adds one and returns the name of its result. Names are what flows.
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

OPSET, IR_VERSION = 20, 9  # the first opset with Gelu; ONNX Runtime reads both from 1.17 on
SMALL = 1024  # bytes; smaller weights stay in the graph itself
ALIGNMENT = 4096  # a page, so that a runtime can map the file instead of reading it
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Array = npt.NDArray[Any]
Shape = Sequence[int | str]


class Graph:
    """Nodes and weights of a model in the making.

    outer: the graph around this one, for the body of a Scan: it sees the outer names and keeps its weights there.
    """

    def __init__(self, outer: Graph | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.weights: dict[str, Array] = {} if outer is None else outer.weights
        self.defaults: set[str] = set() if outer is None else outer.defaults
        self.names: set[str] = set() if outer is None else outer.names

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; returns the name of its one result."""
        return self.several(1, kind, *inputs, **attributes)[0]

    def several(self, results: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with a number of results; returns their names."""
        made = [self._fresh(kind.lower()) for _ in range(results)]
        self.nodes.append(helper.make_node(kind, inputs, made, name=made[0], **attributes))
        return made

    def weight(self, name: str, value: Array) -> str:
        """A constant with a name of its own, the same in every graph that shares it."""
        self.names.add(name)
        self.weights[name] = np.asarray(value, order="C")  # ascontiguousarray would give a scalar an axis
        return name

    def constant(self, value: Any, kind: Any = np.int64) -> str:
        """A small constant; equal ones are one."""
        array = np.asarray(value, kind)
        return self.weight(f"{array.dtype}:{array.tolist()}".replace(" ", ""), array)

    def input(self, name: str, kind: int = FLOAT, shape: Shape | None = None, default: Any = None) -> str:
        """Declares an input; kind is a type of `onnx.TensorProto`. One with a default may be left out."""
        self.names.add(name)
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if default is not None:
            self.weights[name] = np.asarray(default)
            self.defaults.add(name)
        return name

    def output(self, source: str, name: str, kind: int = FLOAT, shape: Shape | None = None) -> None:
        """Declares `source` an output, under a name of its own."""
        self.names.add(name)
        self.alias(source, name)
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def reserve(self, name: str) -> str:
        """A name for a result that nodes may read before `alias` says what it is."""
        return self._fresh(name)

    def alias(self, source: str, name: str) -> None:
        """Gives `source` a reserved name."""
        self.nodes.append(helper.make_node("Identity", [source], [name], name=name))

    def scan(self, body: Graph, states: Sequence[str], sequences: Sequence[str], backwards: bool = False) -> list[str]:
        """Runs `body` along the first axis of `sequences`; its inputs and outputs are the states, then the slices.

        backwards: from the last slice to the first; results lie at the place of the slice that gave them.
        """
        results = len(body.outputs) - len(states)
        way = {"scan_input_directions": [int(backwards)] * len(sequences)}
        if results:
            way["scan_output_directions"] = [int(backwards)] * results
        graph = helper.make_graph(body.nodes, self._fresh("body"), body.inputs, body.outputs)
        return self.several(
            len(body.outputs), "Scan", *states, *sequences, body=graph, num_scan_inputs=len(sequences), **way
        )

    def absorb(self, model: onnx.ModelProto, inputs: dict[str, str]) -> dict[str, str]:
        """Takes over another model's nodes and weights; inputs: its names -> names here. Returns the same for all."""
        renamed = dict(inputs)
        for tensor in model.graph.initializer:
            renamed[tensor.name] = self.weight(f"traced.{tensor.name}", numpy_helper.to_array(tensor))
        for node in model.graph.node:
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise ValueError(f"a {node.op_type} node with a graph inside cannot be taken over")
            made = onnx.NodeProto()
            made.CopyFrom(node)
            made.ClearField("metadata_props")  # the exporter's notes: stack traces, with paths of this machine
            for place, old in enumerate(node.output):
                if old:
                    renamed[old] = made.output[place] = self._fresh(f"traced.{old}")
            for place, old in enumerate(node.input):
                made.input[place] = renamed[old] if old else ""
            made.name = made.output[0]
            self.nodes.append(made)
        return renamed

    def model(self) -> onnx.ModelProto:
        """The model that computes the outputs, with nothing in it that they do not need."""
        maker = {name: node for node in self.nodes for name in node.output if name}
        order: list[onnx.NodeProto] = []
        seen: set[str] = set()
        stack = [(o.name, False) for o in reversed(self.outputs)]
        while stack:  # depth first: a node follows all that it reads
            name, ready = stack.pop()
            if ready:
                order.append(maker[name])
            elif name not in seen:
                seen.add(name)
                if name in maker:
                    seen.update(maker[name].output)
                    stack.append((name, True))
                    stack += [(x, False) for x in reversed(list(_reads(maker[name]))) if x]
        # an input that nothing reads is left out, as an unused weight is
        graph = helper.make_graph(order, "model", [v for v in self.inputs if v.name in seen], self.outputs)
        graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in self.weights.items() if k in seen)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pct")

    def _fresh(self, name: str) -> str:
        made, number = name, 0
        while made in self.names:
            number += 1
            made = f"{name}_{number}"
        self.names.add(made)
        return made


def _reads(node: onnx.NodeProto) -> Iterable[str]:
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:  # the body's own names lead nowhere outside
                yield from _reads(inner)


def write(models: dict[str, onnx.ModelProto], folder: Path, weights: str) -> None:
    """Writes models (file name -> model) whose weights lie once, side by side, in one file.

    Weights with equal bytes are one weight, whatever their names. The models given are changed.
    """
    places: dict[bytes, tuple[int, int]] = {}  # by the hash of the bytes
    with (folder / weights).open("wb") as file:
        for model in models.values():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) < SMALL:
                    continue
                content = hashlib.sha256(tensor.raw_data).digest()
                if content not in places:
                    file.write(b"\0" * (-file.tell() % ALIGNMENT))
                    places[content] = (file.tell(), len(tensor.raw_data))
                    file.write(tensor.raw_data)
                offset, length = places[content]
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in (("location", weights), ("offset", offset), ("length", length)):
                    tensor.external_data.add(key=key, value=str(value))
        file.flush()
        os.fsync(file.fileno())
    for name, model in models.items():
        (folder / name).write_bytes(model.SerializeToString())
