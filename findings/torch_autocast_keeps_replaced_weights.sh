#!/usr/bin/env bash
# torch.autocast answers with the old weights after new ones were loaded inside its block.
#
# Versions: torch 2.13.0 (CPU), numpy 2.4.6.
# Expected: within one `with torch.no_grad(), torch.autocast(...)` block, load_state_dict of the next member of an
#   ensemble makes the network answer as that member; the members disagree.
# Seen: every member answers as the first one. autocast keeps the casts of weights until its outermost block ends and
#   never looks whether the weights changed, so an ensemble (SWAG, checkpoints, perturbed weights) disagrees by exactly
#   0, without a word. With one block for each member, with cache_enabled=False, or under inference_mode in place of
#   no_grad, the members differ.
# Source: aten/src/ATen/autocast_mode.cpp, cached_cast.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" - <<'PY'
import torch
from torch import nn


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).eval()


members = [network(seed).state_dict() for seed in range(5)]
images = torch.randn(6, 8)


def disagreement(gradients, one_block, cache=True):
    """Mean standard deviation of the logits over the members."""
    shell, answers = network(99), []

    def block():
        return torch.autocast("cpu", torch.bfloat16, cache_enabled=cache)

    def answer(member):
        shell.load_state_dict(member)
        answers.append(shell(images).float())

    with gradients():
        if one_block:
            with block():
                for member in members:
                    answer(member)
        else:
            for member in members:
                with block():
                    answer(member)
    return torch.stack(answers).std(0).mean().item()


together = disagreement(torch.no_grad, one_block=True)
apart = disagreement(torch.no_grad, one_block=False)
uncached = disagreement(torch.no_grad, one_block=True, cache=False)
inference = disagreement(torch.inference_mode, one_block=True)
print(f"torch {torch.__version__}")
print("expected: five members disagree, however the blocks are laid")
print(f"seen: one block {together:.3f}, a block each {apart:.3f}, one without cache {uncached:.3f}, "
      f"one under inference_mode {inference:.3f}")
assert together == 0.0
assert min(apart, uncached, inference) > 0.1
PY
