"""Blocks that name a segmentation network: what they build and what a depth checkpoint holds of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import segmenter

from packdepth.errors import InputError
from packdepth.segmentation.fpn import FpnSemantics
from packdepth.segmentation.transformers_network import TransformersSemantics


def test_a_network_is_built_from_the_checkpoint_or_from_its_copy(tmp_path: Path) -> None:
    block = FpnSemantics(kind="fpn", checkpoint=segmenter.write(tmp_path / "network"))
    assert block.name == str(tmp_path / "network")
    assert block.held
    assert block.build().classes == segmenter.CLASSES
    copy = block.checkpoint.rename(tmp_path / "copy")
    assert block.build(copy).classes == segmenter.CLASSES
    with pytest.raises(InputError, match="network: is no checkpoint of a segmentation network"):
        block.build()


@pytest.mark.parametrize(("store", "held"), [("value", True), ("reference", False)])
def test_a_model_of_transformers_may_be_held_by_name(store: str, held: bool) -> None:
    block = TransformersSemantics.model_validate({"kind": "transformers", "model": "nvidia/segformer", "store": store})
    assert (block.name, block.held) == ("nvidia/segformer", held)
