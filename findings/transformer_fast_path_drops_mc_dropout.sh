#!/usr/bin/env bash
# baal's MC dropout on torch's own transformer encoder is not random at all, until somebody attaches a hook.
#
# Versions: torch 2.13.0 (CPU), baal 2.1.0, numpy 2.4.6.
# Expected: patch_module replaces every nn.Dropout by one that is always on, so repeated predictions differ; a hook
#   that returns nothing changes nothing.
# Seen: standard deviation exactly 0 over 20 iterations of ModelWrapper.predict_on_batch. In eval mode without
#   gradients nn.TransformerEncoderLayer takes a fused path that reads its weights and never calls its dropout layers.
#   With gradients, or with any forward hook on the layer, it takes the other path, and the same network varies. The
#   same holds for the usual recipe, eval() and then train() on each nn.Dropout.
# Source: torch/nn/modules/transformer.py, why_not_sparsity_fast_path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 baal==2.1.0
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import torch
from baal.bayesian.dropout import patch_module
from baal.modelwrapper import ModelWrapper, TrainingArgs
from torch import nn


class Patches(nn.Module):
    """A small vision transformer behind its patches: (images, patches, 16) to (images, 3)."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.5, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(x).mean(1))


def spread(answers):
    return answers.std(-1).mean().item()


torch.manual_seed(0)
images = torch.randn(4, 5, 16)
plain = Patches().eval()
patched = patch_module(plain, inplace=False).eval()
wrapper = ModelWrapper(patched, args=TrainingArgs(use_cuda=False))
with torch.no_grad():
    fast = spread(wrapper.predict_on_batch(images, iterations=20))
handles = [layer.register_forward_hook(lambda *_: None) for layer in patched.encoder.layers]
with torch.no_grad():
    hooked = spread(wrapper.predict_on_batch(images, iterations=20))
for handle in handles:
    handle.remove()
for module in plain.modules():
    if isinstance(module, nn.Dropout):
        module.train()
with torch.no_grad():
    recipe = spread(torch.stack([plain(images) for _ in range(20)], -1))
with_gradients = spread(torch.stack([plain(images) for _ in range(20)], -1).detach())
print(f"torch {torch.__version__}, baal {version('baal')}")
print("expected: 20 predictions with active dropout vary, hook or not")
print(f"seen, standard deviation: baal {fast:.3f}, baal with an empty hook {hooked:.3f}, "
      f"eval and nn.Dropout in train {recipe:.3f}, the same with gradients {with_gradients:.3f}")
assert fast == recipe == 0.0
assert min(hooked, with_gradients) > 0.01
PY
