"""What somebody else's parts do wrong is one sentence before the first step, or a warning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

IMPORTS = """
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal
import torch
from torch import nn
from packdepth.networks import DepthNetworkBlock, PairPoseNetwork, PoseNetworkBlock
from packdepth.objectives import Term
from packdepth.records import Clip, Frame
from packdepth.sources import Folder, ImageFile, Source
"""
TERM = """
class Mine(Term):
    kind: Literal["mine"] = "mine"
    def __call__(self, outputs, batch):
        {body}
"""
DEPTH = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.1))
    def forward(self, image):
        height, width = image.shape[-2:]
        sizes = [(-(-height // 2**s), -(-width // 2**s)) for s in range(4)]
        levels = [self.weight.expand(len(image), 1, *size) for size in sizes]
        return {body}

class Mine(DepthNetworkBlock):
    kind: Literal["mine"] = "mine"
    def build(self):
        return {build}
"""
POSE = """
class Net(PairPoseNetwork):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6))
    def pair_motion(self, pair):
        {body}

class Mine(PoseNetworkBlock):
    kind: Literal["mine"] = "mine"
    def build(self):
        return {build}
"""
SOURCE = """
@dataclass(frozen=True)
class Gray:
    path: Path
    def read(self):
        return ImageFile(self.path).read()[..., 0]

class Mine(Source):
    kind: Literal["mine"] = "mine"
    root: Path
    @classmethod
    def recognizes(cls, path):
        return False
    def find(self):
        (clip,) = Folder(root=self.root).clips()
        {body}
"""
OPTIMIZER = """
from packdepth.optimization.blocks import OptimizerBlock

class Mine(OptimizerBlock):
    kind: Literal["mine"] = "mine"
    def build(self, groups, fused):
        {body}
"""
SCHEDULE = """
from packdepth.optimization.blocks import Schedule

class Mine(Schedule):
    kind: Literal["mine"] = "mine"
    def multiplier(self, step, steps, epochs):
        {body}
"""
FACT = TERM.format(body="return 0")
MEAN = TERM.format(body="return outputs.inv_depths[0].mean()")
NO_GRADIENT = (
    "gets a gradient from the objective, so that it would learn nothing; let its outputs depend on its weights"
)
ALONE = "in place, which other terms read; let it make a new tensor, and let prepare return dataclasses.replace"
NUMBER = "return a finite number, at least 0"
CONTRACT = (
    "for an image [2, 3, 32, 64], but a depth network returns a list of inverse depths "
    "[(2, 1, 32, 64), (2, 1, 16, 32), (2, 1, 8, 16), (2, 1, 4, 8)], finest first"
)
SIX = "return six-vectors [4, 6]: translation in metres, rotation vector in radians"

# The part that a mistake is in, its code, and what is said of it, or how that begins. One process takes all of them in
# this order; the first two come before there is a class of the kind "mine" for their part.
# fmt: off
MISTAKES: dict[str, tuple[str, str, str]] = {
    "no kind": (
        "term", FACT.replace('kind: Literal["mine"] = "mine"', "power: int = 2").replace("Mine", "Kindless"),
        "run.yaml: objective[1]: unknown kind 'mine'; the class Kindless has no kind: give it "
        'kind: Literal["mine"] = "mine"; valid kinds are abs_rel, '),
    "a pose network that is a depth network": (
        "pose", DEPTH.format(body="levels", build="Net()"),
        "run.yaml: networks.pose: unknown kind 'mine'; valid kinds are pose_encoder, pose_resnet, posenet, two_stream"),
    "a vector": (
        "term", TERM.format(body="return outputs.inv_depths[0].mean((1, 2, 3))"),
        "objective term 'mine' returns a tensor of shape [2], but a term returns a scalar tensor: take its mean"),
    "a float": (
        "term", TERM.format(body="return 0.5"),
        "objective term 'mine' returns a float, but a term returns a scalar tensor: take its mean"),
    "nothing": (
        "term", TERM.format(body="pass"),
        "objective term 'mine' returns a NoneType, but a term returns a scalar tensor: take its mean"),
    "not a number": (
        "term", TERM.format(body="return (outputs.inv_depths[0] * 0 / 0).mean()"),
        "objective term 'mine' is nan on the first samples; keep what it divides by, and the arguments of its "
        "logarithms and roots, away from zero"),
    "a list taken for a tensor": (
        "term", TERM.format(body="return outputs.inv_depths.mean()"),
        "objective term 'mine' (of the file mine.py) fails in line 15 of mine.py (AttributeError: 'list' object has no "
        "attribute 'mean'); mend it"),
    "a field that it does not say it needs": (
        "term", TERM.format(body="return batch.truth.mean()"),
        "objective term 'mine' (of the file mine.py) fails in line 15 of mine.py (AttributeError: 'NoneType' object "
        "has no attribute 'mean'); mend it"),
    "a change in place": (
        "term", TERM.format(body="return (outputs.inv_depths[0].sigmoid() * outputs.inv_depths[0].mul_(2)).mean()"),
        f"objective term 'mine' changes outputs.inv_depths[0] {ALONE}"),
    "a change of the batch in place": (
        "term", TERM.format(body="batch.image.mul_(0); return outputs.inv_depths[0].mean()"),
        f"objective term 'mine' changes batch.image {ALONE}"),
    "another image in the batch": (
        "term", TERM.format(body="batch.image = batch.image * 0; return outputs.inv_depths[0].mean()"),
        f"objective term 'mine' changes batch.image {ALONE}"),
    "a change in place in prepare": (
        "term", MEAN + "    def prepare(self, outputs, batch):\n"
        "        outputs.inv_depths[0] = outputs.inv_depths[0] * 2\n        return outputs\n",
        f"objective term 'mine' changes outputs.inv_depths[0] {ALONE}"),
    "a prepare that returns nothing": (
        "term", MEAN + "    def prepare(self, outputs, batch):\n        pass\n",
        "objective term 'mine': prepare returns a NoneType; return the outputs, or dataclasses.replace(outputs, ...)"),
    "a weight that is a text": (
        "term", MEAN + "    def weight_at(self, progress):\n        return 'a'\n",
        "objective term 'mine': weight_at(0) returns 'a'; return a finite number"),
    "a weight that ends as nothing": (
        "term", MEAN + "    def weight_at(self, progress):\n        return 1 if progress < 1 else None\n",
        "objective term 'mine': weight_at(1) returns None; return a finite number"),
    "an error in weight_at": (
        "term", MEAN + "    def weight_at(self, progress):\n        return 1 / progress\n",
        "objective term 'mine' (of the file mine.py) fails in line 17 of mine.py (ZeroDivisionError: "),
    "a mask of another shape": (
        "term", TERM.format(body="from packdepth.objectives import masked_mean; "
        "return masked_mean(batch.image, batch.image[:1] > 0)"),
        "the valid mask is [1, 3, 32, 64], but the values are [2, 3, 32, 64]; give the same shape"),
    "no call": (
        "term", 'class Mine(Term):\n    kind: Literal["mine"] = "mine"\n',
        "run.yaml: objective[1]: Mine, the class of kind 'mine', does not define __call__; add it"),
    "a kind that is no literal": (
        "term", FACT.replace('Literal["mine"]', "str"),
        "--use mine.py: cannot be imported (TypeError: Mine: its kind must be a literal text, such as "
        'kind: Literal["mine"] = "mine"); mend it, or name another'),
    "a need that is misspelt": (
        "term", FACT + '    needs: ClassVar[tuple[str, ...]] = ("distanse",)\n',
        "objective term 'mine' needs 'distanse', which is no optional field of Batch or Outputs: "
        "did you mean 'distance'?"),
    "a need of an output that is misspelt": (
        "term", FACT + '    needs: ClassVar[tuple[str, ...]] = ("context_inv_depth",)\n',
        "objective term 'mine' needs 'context_inv_depth', which is no optional field of Batch or Outputs: "
        "did you mean 'context_inv_depths'?"),
    "needs that are a text": (
        "term", FACT + '    needs: ClassVar[str] = "distance"\n',
        "objective term 'mine': its needs are the text 'distance'; write a tuple of names, such as ('distance',)"),
    "needs that are an option": (
        "term", FACT + '    needs: tuple[str, ...] = ("distance",)\n',
        "--use mine.py: cannot be imported (TypeError: Mine: needs is a fact about the class and no option of a run "
        "file; annotate it as ClassVar, such as needs: ClassVar = ...); mend it, or name another"),
    "needs without a type": (
        "term", FACT + '    needs = ("distance",)\n',
        "--use mine.py: cannot be imported (the attribute needs of a block has no type; annotate it as an option of a "
        "run file, such as needs: float, or as a fact about the class: needs: ClassVar[tuple[str, ...]]); mend it, or "
        "name another"),
    "an error in prepare": (
        "term", FACT + "    def prepare(self, outputs, batch):\n        return outputs.depth\n",
        "objective term 'mine' (of the file mine.py) fails in line 17 of mine.py (AttributeError: 'Outputs' object "
        "has no attribute 'depth'); mend it"),
    "one depth": (
        "depth", DEPTH.format(body="levels[0]", build="Net()"),
        f"networks.depth: 'mine' returns Tensor {CONTRACT}"),
    "coarsest first": (
        "depth", DEPTH.format(body="levels[::-1]", build="Net()"),
        f"networks.depth: 'mine' returns [(2, 1, 4, 8), (2, 1, 8, 16), (2, 1, 16, 32), (2, 1, 32, 64)] {CONTRACT}"),
    "negative depth": (
        "depth", DEPTH.format(body="[-level for level in levels]", build="Net()"),
        "networks.depth: 'mine' predicts inverse depths that are not positive (-0.1); end the network in a sigmoid or "
        "a softplus"),
    "depth without gradient": (
        "depth", DEPTH.format(body="[level.detach() for level in levels]", build="Net()"),
        f"networks.depth: no weight of 'mine' {NO_GRADIENT}"),
    "depth in float64": (
        "depth", DEPTH.format(body="[level.double() for level in levels]", build="Net()"),
        "networks.depth: 'mine' returns inverse depths in torch.float64 for an image in torch.float32; return them in "
        "the type of the image, such as inv_depth.to(image.dtype)"),
    "an error in forward": (
        "depth", DEPTH.format(body="level", build="Net()"),
        "networks.depth: 'mine' (of the file mine.py) fails in line 20 of mine.py (NameError: name 'level' is not "
        "defined); mend it"),
    "an error in build": (
        "depth", DEPTH.format(body="levels", build="net()"),
        "networks.depth: 'mine' (of the file mine.py) fails in line 25 of mine.py (NameError: name 'net' is not "
        "defined); mend it"),
    "a class in place of a network": (
        "depth", DEPTH.format(body="levels", build="Net"),
        "networks.depth: build of 'mine' returns a type; return a torch.nn.Module"),
    "one motion for all": (
        "pose", POSE.format(body="return self.weight", build="Net()"),
        f"networks.pose: pair_motion of Net returns [6] for 4 pairs; {SIX}"),
    "no motion": (
        "pose", POSE.format(body="pass", build="Net()"),
        f"networks.pose: pair_motion of Net returns NoneType for 4 pairs; {SIX}"),
    "a motion that is always zero": (
        "pose", POSE.format(body="return pair.new_zeros(len(pair), 6)", build="Net()"),
        f"networks.pose: no weight of 'mine' {NO_GRADIENT}"),
    "an endless motion": (
        "pose", POSE.format(body="return pair.mean((2, 3)) / 0", build="Net()"),
        "networks.pose: 'mine' predicts a motion that is not finite; see to its first weights"),
    "an error in pair_motion": (
        "pose", POSE.format(body="return pair.mean(2) + self.weight", build="Net()"),
        "networks.pose: 'mine' (of the file mine.py) fails in line 17 of mine.py (RuntimeError: The size of tensor a "),
    "a pose network of another base": (
        "pose", POSE.format(body="return 0", build="nn.Conv2d(6, 6, 1)"),
        "networks.pose: build of 'mine' returns a Conv2d; return a network that derives from "
        "packdepth.networks.PairPoseNetwork"),
    "a clip alone": (
        "source", SOURCE.format(body="return clip"),
        "source 'mine': find returns a Clip; return a list of at least one packdepth.records.Clip"),
    "no clip": (
        "source", SOURCE.format(body="return []"),
        "source 'mine': find returns an empty list; return a list of at least one packdepth.records.Clip"),
    "an error in find": (
        "source", SOURCE.format(body="return [clip.frame]"),
        "source 'mine' (of the file mine.py) fails in line 26 of mine.py (AttributeError: 'Clip' object has no "
        "attribute 'frame'); mend it"),
    "frames in a wrong order": (
        "source", SOURCE.format(body="return [replace(clip, frames=clip.frames[::-1])]"),
        "source 'mine': times of clip folder/moving_clip do not rise; order its frames by their time"),
    "frames of one name": (
        "source", SOURCE.format(body="return [replace(clip, frames=[replace(f, name='a') for f in clip.frames])]"),
        "source 'mine': clip folder/moving_clip has two frames of one name; give it frames, each with its own name"),
    "gray images": (
        "source", SOURCE.format(
            body="return [replace(clip, frames=[replace(f, image=Gray(f.image.path)) for f in clip.frames])]"
        ),
        "source 'mine': moving_clip/frames/000000.png is read as uint8 [48, 96]; return a numpy array of uint8 "
        "[48, 96, 3] for it"),
    "scans with reflectance": (
        "source", SOURCE.format(body="from types import SimpleNamespace as Scan; "
        "scan = Scan(path=clip.path / 'a.bin', origin=None, read=lambda: torch.zeros(9, 4).numpy()); "
        "return [replace(clip, frames=[replace(f, lidar=scan) for f in clip.frames])]"),
        "source 'mine': moving_clip/a.bin is read as float32 [9, 4]; return a numpy array of float32 [N, 3] for it"),
    "no recognizes": (
        "source", SOURCE.format(body="return [clip]").replace("recognizes", "recognises"),
        "run.yaml: data.train[0]: Mine, the class of kind 'mine', does not define recognizes; add it"),
    "no optimizer": (
        "optimizer", OPTIMIZER.format(body="return groups"),
        "training.optimizer: 'mine': build returns a list; return a torch.optim.Optimizer"),
    "an optimizer of one network": (
        "optimizer", OPTIMIZER.format(body="return torch.optim.SGD(groups[:1])"),
        "training.optimizer: 'mine': build leaves out parameters of the group pose ("),
    "an optimizer of a flat list": (
        "optimizer", OPTIMIZER.format(body="return torch.optim.AdamW([p for g in groups for p in g['params']])"),
        "training.optimizer: 'mine': build makes a parameter group without 'name', so that it is not known which "
        "learning rate of the run file it has; pass `groups` on as they are, or make groups with name, params and lr "
        "of them"),
    "an error in build of an optimizer": (
        "optimizer", OPTIMIZER.format(body="return torch.optim.SGD(groups.values())"),
        "training.optimizer: 'mine' (of the file mine.py) fails in line 17 of mine.py (AttributeError: 'list' object "
        "has no attribute 'values'); mend it"),
    "a multiplier that is nothing": (
        "schedule", SCHEDULE.format(body="pass"),
        f"training.schedule: 'mine': multiplier returns None after 0 of 2 steps; {NUMBER}"),
    "a multiplier that is a text": (
        "schedule", SCHEDULE.format(body="return '1'"),
        f"training.schedule: 'mine': multiplier returns '1' after 0 of 2 steps; {NUMBER}"),
    "a multiplier that becomes negative": (
        "schedule", SCHEDULE.format(body="return 0.5 - step"),
        f"training.schedule: 'mine': multiplier returns -0.5 after 1 of 2 steps; {NUMBER}"),
    "a multiplier that becomes not a number": (
        "schedule", SCHEDULE.format(body="return 1.0 if step < steps else float('nan')"),
        f"training.schedule: 'mine': multiplier returns nan after 2 of 2 steps; {NUMBER}"),
    "an error in multiplier": (
        "schedule", SCHEDULE.format(body="return 1 / step"),
        "training.schedule: 'mine' (of the file mine.py) fails in line 17 of mine.py (ZeroDivisionError: "),
}
# fmt: on

TRAIN = """
import contextlib, io, json, sys
from packdepth.cli import main
sentences = {}
for name, arguments in json.load(sys.stdin).items():
    with contextlib.redirect_stderr(io.StringIO()) as text:
        status = main(["train", *arguments])
    sentences[name] = [status, text.getvalue()]
json.dump(sentences, open("sentences.json", "w"))
"""


def values_of(part: str, clip: Path) -> dict[str, Any]:
    """The content of a small run file in which a part is of the kind "mine"."""
    values: dict[str, Any] = {
        "data": {"train": [{"kind": "folder", "root": str(clip)}], "image_size": [32, 64], "workers": 0},
        "networks": {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}},
        "objective": [{"kind": "photometric", "scales": "own"}],
        "training": {"epochs": 1, "batch_size": 2, "accelerator": "cpu"},
    }
    if part == "term":
        values["objective"].append({"kind": "mine"})
    elif part == "source":
        values["data"]["train"] = [{"kind": "mine", "root": str(clip)}]
    elif part in ("optimizer", "schedule"):
        values["training"][part] = {"kind": "mine"}
    else:
        values["networks"][part] = {"kind": "mine"}
    return values


@pytest.fixture(scope="module")
def sentences(moving_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit status and output of `packdepth train` for each mistake, from one process of its own: classes stay there."""
    place = tmp_path_factory.mktemp("mistakes")
    arguments = {}
    for name, (part, code, _) in MISTAKES.items():
        folder = place / name.replace(" ", "_")
        folder.mkdir()
        (folder / "mine.py").write_text(IMPORTS + code)
        (folder / "run.yaml").write_text(yaml.safe_dump(values_of(part, moving_clip)))
        arguments[name] = [f"{folder}/run.yaml", "--use", f"{folder}/mine.py", "--output", f"{folder}/run"]
    subprocess.run(
        [sys.executable, "-c", TRAIN],
        input=json.dumps(arguments),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=place,
        text=True,
        check=True,
    )
    found = json.loads((place / "sentences.json").read_text())
    for name, (_, text) in found.items():
        for folder in (place / name.replace(" ", "_"), moving_clip.parent):
            text = text.replace(f"{folder}/", "")
        found[name][1] = text
    assert not list(place.glob("*/run"))
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence(sentences: dict[str, tuple[int, str]], name: str) -> None:
    status, text = sentences[name]
    assert status == 2
    assert text.splitlines()[-1].startswith(f"packdepth: {MISTAKES[name][2]}")
    assert "Traceback" not in text
