"""Numbers on their way from a device."""

from __future__ import annotations

import torch


class Fetched:
    """Values of a tensor [N] as they are when this is made. Only `tolist` waits for them, and for nothing that follows."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values, self._arrived = values, None
        if values.is_cuda:
            self._values = torch.empty_like(values, device="cpu", pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record(torch.cuda.current_stream(values.device))

    def tolist(self) -> list[float]:
        """The values."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._values.tolist()
