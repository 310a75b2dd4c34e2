#!/usr/bin/env bash
# A package of torch's AOTInductor, given a transposed list of edges: does it read it right, or refuse it?
#
# A list of pairs [E, 2] is often handed over as `pairs.T`, a view of the form [2, E]. The module, exported and compiled
# from a contiguous example, gives the right numbers for the view when it runs in Python. One would expect the same of
# its package, or an error. But the package takes the strides of the example for those of every input: it gives other
# numbers, without an error. With AOTI_RUNTIME_CHECK_INPUTS=1 in the environment it refuses the view.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/strides.py" <<'PYTHON'
import sys

import torch


class Differences(torch.nn.Module):
    def forward(self, hits, edges):
        start, end = edges
        return (hits[start] - hits[end]).sum(dim=1)


torch.manual_seed(0)
hits, pairs = torch.randn(6, 3), torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 5]])
module, file = Differences(), sys.argv[1]
view, copy = pairs.T, pairs.T.contiguous()
if len(sys.argv) > 2:
    print("torch", torch.__version__)
    sizes = {0: torch.export.Dim("hits")}, {1: torch.export.Dim("edges")}
    program = torch.export.export(module, (hits, copy), dynamic_shapes=sizes)
    torch._inductor.aoti_compile_and_package(program, package_path=file)
package = torch._inductor.aoti_load_package(file)
assert torch.equal(module(hits, view), module(hits, copy)) and torch.allclose(package(hits, copy), module(hits, copy))
print("module, transposed: ", module(hits, view).tolist())
try:
    print("package, transposed:", package(hits, view).tolist())
    refused = False
    assert not torch.allclose(package(hits, view), module(hits, view)), "the package reads views now"
except RuntimeError as error:
    refused = True
    print("package, transposed:", error)
assert refused == (len(sys.argv) == 2), "refused with the check alone"
PYTHON
"$folder/env/bin/python" -W ignore "$folder/strides.py" "$folder/module.pt2" write
AOTI_RUNTIME_CHECK_INPUTS=1 "$folder/env/bin/python" -W ignore "$folder/strides.py" "$folder/module.pt2"
