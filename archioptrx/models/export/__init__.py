"""Trained networks as files that need nothing of this package: plain PyTorch, ONNX.

The network becomes a small program first (`program`: classes of layers, statements of the forward pass), made by `plan`
from the steps and loops of its computation graph: block by block (the `source` of each signature), with smaller graphs
as variables (`pooled`) and the scales of the data (`geometry`). `python` writes the program as source code; `onnx_file`
hands that code to torch's exporter.
"""
