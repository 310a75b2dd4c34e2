#!/usr/bin/env bash
# onnxruntime's ScatterND(reduction="add"): are repeated indices added up by several threads?
#
# One would guess so: opset 16 gave the operator a reduction, and with reductions ONNX allows an index to be repeated.
# With one thread all of 50,000 ones arrive. With two threads or more, in some of 300 runs thousands are lost: the threads
# read, add and write the same row without a lock, and nothing says so. torch's exporter writes this operator for
# index_put_(accumulate=True). ScatterElements(reduction="add") goes through its indices in one thread and loses none.
# Known upstream as a difference between runs: microsoft/onnxruntime issues 18048 and 23396, both closed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

HITS, EDGES, WIDTH, RUNS = 100, 50_000, 8, 300
print("onnxruntime", onnxruntime.__version__)
node = helper.make_node("ScatterND", ["start", "index", "messages"], ["sums"], reduction="add")
kinds = {
    "start": (TensorProto.FLOAT, [HITS, WIDTH]),
    "index": (TensorProto.INT64, [EDGES, 1]),
    "messages": (TensorProto.FLOAT, [EDGES, WIDTH]),
}
inputs = [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()]
graph = helper.make_graph([node], "sums", inputs, [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [HITS, WIDTH])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
feed = {
    "start": np.zeros((HITS, WIDTH), np.float32),
    "index": np.zeros((EDGES, 1), np.int64),  # all into one row
    "messages": np.ones((EDGES, WIDTH), np.float32),
}
wrong = {}
for threads in (1, 4):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    lost = [EDGES - int(session.run(None, feed)[0][0].min()) for _ in range(RUNS)]
    wrong[threads] = sum(count > 0 for count in lost)
    print(f"{threads} threads: wrong in {wrong[threads]} of {RUNS} runs, at most {max(lost)} of {EDGES} messages lost")
assert wrong[1] == 0 and wrong[4] > 0, "no message was lost this time: the race is gone, or this machine has one core"
PYTHON
