"""The devices of training: a CPU, or a GPU that PyTorch knows as `cuda` (NVIDIA's, and AMD's)."""

from __future__ import annotations

import os
import time

import torch

from vaezip.errors import DeviceError

AUTO, CPU, CUDA = "auto", "cpu", "cuda"


def find_device(name: str) -> torch.device:
    """The device of that name; `auto`: a GPU if there is one.

    Of several processes on a machine, each takes the GPU of its number (`torchrun` sets LOCAL_RANK). Raises
    DeviceError if there is no such GPU.
    """
    if name == CPU or (name == AUTO and not torch.cuda.is_available()):
        return torch.device(CPU)
    number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "PyTorch finds none" if built else "this PyTorch was built without CUDA"
        raise DeviceError(f"no GPU to train on: {why} (--device cpu trains without)")
    if number >= there:
        raise DeviceError(f"{there} GPUs for more processes than that (torchrun --nproc-per-node {there})")
    torch.cuda.set_device(number)
    return torch.device(CUDA, number)


def bfloat16_pays(device: torch.device) -> bool:
    """True if matrices are multiplied faster in bfloat16 than in float32: a CPU is tried."""
    if device.type == CUDA:
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    a, b = torch.randn(4096, 128), torch.randn(128, 256)
    seconds = []
    for x, y in ((a, b), (a.bfloat16(), b.bfloat16())):
        torch.mm(x, y)
        began = time.perf_counter()
        for _ in range(10):
            torch.mm(x, y)
        seconds.append(time.perf_counter() - began)
    return seconds[1] < seconds[0]
