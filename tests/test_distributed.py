"""Screening on Ray: the verdicts of the local engine, whatever becomes of the workers."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CLASSES

from uncertainty import distributed, pipeline
from uncertainty.distributed import ATTEMPTS, RayEngine, Worker
from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.parts import JOURNAL, part_name
from uncertainty.pipeline import screen_into
from uncertainty.screener import Screener
from uncertainty.screening import Screen, task_of
from uncertainty.sources import find_images

# The network of the world; in a process of a worker it ends that process, while the file `deadly` says so.
MODELS = """
import os, signal
from pathlib import Path
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

class Deadly(nn.Sequential):
    def forward(self, x):
        orders = Path(os.environ["ORDERS"]) / "deadly"
        if len(x) != 4 and orders.exists():
            if orders.read_text() == "once":
                orders.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

def network():
    layers = (nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(), nn.Dropout(0.3))
    module = Deadly(*layers, nn.Linear(48, 3))
    return Classifier.from_module(module, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""
SPEC = "deadly_models:network?weights=weights.safetensors"
BATCH, PART = 4, 8
