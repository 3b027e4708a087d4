"""The file with the trainer's state, which is written straight to its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class StateFile(TorchCheckpointIO):
    """Writer of the trainer's state in place of Lightning's, which writes to TMPDIR first.

    Its file is opened here, so that an error says that a disk is full.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a state.

        Args:
            checkpoint: the state.
            path: the file.
            storage_options: options of other storage, which are not used.
        """
        with Path(path).open("wb") as file:
            torch.save(checkpoint, file)
