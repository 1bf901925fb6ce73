"""Several processes that train one network, as `torchrun` starts them, on one machine or on many.

Each reads other segments of the corpus. The first one leads: it alone measures, decides and writes files, and
the others follow its orders. After every step the gradients of all are added up, so that all make the same
change to the same weights.
"""

from __future__ import annotations

import enum
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed

from vaezip.errors import DeviceError
from vaezip.training.backends import Gradients
from vaezip.training.devices import CPU, find_device


class Command(enum.IntEnum):
    """Orders to the other processes."""

    STEP = enum.auto()
    BEGIN_AGAIN = enum.auto()  # with other weights
    STOP = enum.auto()


class Order(NamedTuple):
    """An order, with the arguments of `Descent.step`."""

    command: Command
    kl_weight: float = 0.0
    rate: float = 0.0


class Ranks:
    """The processes of a run, of which this is one; the only one unless `torchrun` says otherwise.

    Whatever needs the others raises DeviceError if one of them is gone.
    """

    def __init__(self) -> None:
        self.rank, self.count = 0, 1

    @classmethod
    def join(cls, device: torch.device) -> Ranks:
        """Meet the others, if there are any."""
        ranks = cls()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            if not distributed.is_available():
                raise DeviceError("this PyTorch was built without support for several processes")
            try:
                distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
            except (RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise DeviceError(f"the processes of the run cannot meet: {reason}") from error
            ranks.rank, ranks.count = distributed.get_rank(), distributed.get_world_size()
        return ranks

    @property
    def leads(self) -> bool:
        """True in the first process."""
        return self.rank == 0

    def sum(self, gradients: Gradients) -> Gradients:
        """The gradients of all processes, summed."""
        if self.count == 1:
            return gradients
        dense, tables = gradients.dense, gradients.tables.to_dense()
        size = gradients.bytes
        numbers = torch.tensor([size, size * gradients.bits_per_byte, gradients.kl_bits], dtype=torch.float64)
        with _all_there():
            for x in (numbers, dense, tables):  # first what does not wait for a GPU, and tells who is gone
                distributed.all_reduce(x)
        total, bits, kl = numbers.tolist()
        return Gradients(dense, tables, int(total), bits / total, kl / self.count)

    def order(self, order: Order) -> None:
        """Tell the others what to do; for the first process."""
        self._broadcast(torch.tensor(order, dtype=torch.float64))

    def stop(self) -> None:
        """Tell the others to leave, those that are still there."""
        with suppress(DeviceError):
            self.order(Order(Command.STOP))

    def next_order(self) -> Order:
        """The next order of the first process."""
        command, kl_weight, rate = self._broadcast(torch.empty(3, dtype=torch.float64)).tolist()
        return Order(Command(int(command)), kl_weight, rate)

    def give(self, state: dict[str, Any]) -> None:
        """Send tensors and plain values to the others; for the first process."""
        if self.count > 1:
            file = io.BytesIO()
            torch.save(state, file)
            data = torch.frombuffer(file.getbuffer(), dtype=torch.uint8)
            self._broadcast(torch.tensor([len(data)]))
            self._broadcast(data)

    def take(self) -> dict[str, Any]:
        """Receive what the first process sends, on the CPU."""
        size = self._broadcast(torch.zeros(1, dtype=torch.int64))
        data = self._broadcast(torch.empty(int(size), dtype=torch.uint8))
        file = io.BytesIO(data.numpy().tobytes())
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state

    def _broadcast(self, x: Tensor) -> Tensor:
        """Make `x` what it is in the first process."""
        if self.count > 1:
            with _all_there():
                distributed.broadcast(x, 0)
        return x

    def close(self) -> None:
        """Leave the others."""
        if self.count > 1:
            distributed.destroy_process_group()


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise DeviceError(
            f"another process of the run is gone, --resume goes on without it ({reason})"
        ) from error


@dataclass(frozen=True)
class Place:
    """The device of this process, and the processes it trains with."""

    device: torch.device = field(default_factory=lambda: torch.device(CPU))
    ranks: Ranks = field(default_factory=Ranks)

    @classmethod
    @contextmanager
    def found(cls, name: str) -> Iterator[Place]:
        """The place by a device's name, see `find_device`, and what `torchrun` says; raises DeviceError."""
        device = find_device(name)
        ranks = Ranks.join(device)
        try:
            yield cls(device, ranks)
        finally:
            ranks.close()
