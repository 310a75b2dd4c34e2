#!/usr/bin/env bash
# torch's scatter_reduce("amax", include_self=False): does the start value take part?
#
# One would guess that include_self=False leaves the start tensor out, in the gradient too. The values are right. The
# gradient is shared out among all that equal the result, and the start value is counted among them: where the largest
# message of a node is exactly 0 and the start tensor holds zeros, as after new_zeros(...), the message gets 0.5 of its
# gradient and the start value the rest. Messages after a relu are often exactly 0. A start of -inf gives 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/env/bin/python" - <<'PYTHON'
import torch

print("torch", torch.__version__)
index = torch.tensor([0, 0, 1])
gradients = []
for start in (0.0, -torch.inf):
    messages = torch.tensor([0.0, -1.0, 2.0], requires_grad=True)
    largest = torch.full((2,), start).scatter_reduce(0, index, messages, "amax", include_self=False)
    largest.sum().backward()
    gradients.append(messages.grad.tolist())
    print(f"start {start}: largest {largest.tolist()}, gradient of the messages {gradients[-1]}")
assert gradients == [[0.5, 0.0, 1.0], [1.0, 0.0, 1.0]], "the gradient is shared out otherwise now"
PYTHON
