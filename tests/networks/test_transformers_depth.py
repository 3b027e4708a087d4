"""Depth networks of transformers: tiny models of each family, saved to folders and read again."""

from __future__ import annotations

import json
from pathlib import Path

import foundation
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from packdepth.blocks import parse
from packdepth.errors import InputError
from packdepth.networks.transformers_depth import TransformersDepth, TransformersDepthBlock, input_size

META = {"format": "pt"}  # metadata that transformers asks for

pytest.importorskip("transformers", reason="the extra `transformers` is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folders of models; each is made by the first test that needs it."""
    return tmp_path_factory.mktemp("models")


def folder(models: Path, family: str) -> Path:
    path = models / family
    return path if path.exists() else foundation.save(foundation.FAMILIES[family][0](), path)


def block(models: Path, family: str, **options: object) -> TransformersDepthBlock:
    values = {"kind": "transformers", "model": str(folder(models, family))} | options
    if family == "chmv2":
        values["output"] = "metric"  # its configuration does not say that it predicts heights of trees
    return parse(TransformersDepthBlock, values, "run")


def loaded(block: TransformersDepthBlock) -> TransformersDepth:
    network = block.assemble()
    block.start(network)
    assert isinstance(network, TransformersDepth)
    return network


@pytest.mark.parametrize("family", foundation.FAMILIES)
def test_each_family_gives_inverse_depth_of_the_size_of_the_image_and_learns(models: Path, family: str) -> None:
    chosen = block(models, family).completed()
    assert chosen.output == foundation.FAMILIES[family][1]
    network, image = loaded(chosen), torch.rand(2, 3, 40, 70)
    chosen.adapt(network, image)
    (inv_depth,) = network(image)
    assert inv_depth.shape == (2, 1, 40, 70)
    assert inv_depth.min() > 0
    if chosen.output != "metric":
        near = inv_depth[inv_depth > 1.01 * inv_depth.min()]
        assert 1 / near.median().item() == pytest.approx(12.0, rel=0.5)  # the default of initial_depth
    inv_depth.log().mean().backward()
    for part in (network.encoder, network):
        assert any(value.grad is not None and value.grad.abs().max() > 0 for value in part.parameters())


@pytest.mark.parametrize("family", foundation.FAMILIES)
def test_each_prediction_is_that_of_the_model_itself(models: Path, family: str) -> None:
    """On an image whose size the model takes, and of which nothing is cut off by a ReLU that the network leaves out."""
    network, model = loaded(block(models, family)).eval(), foundation.model(foundation.FAMILIES[family][0]())
    height, width = input_size(model.config, 128, 128)
    image = torch.rand(1, 3, height, width)
    with torch.no_grad():
        mean, std = (0.0, 1.0) if network.mean.abs().max() == 0 else (0.5, 0.25)
        expected = model(pixel_values=(image - mean) / std).predicted_depth
        torch.testing.assert_close(network.output(image)[:, 0].clamp(min=0), expected.clamp(min=0))


def test_dpt_takes_images_that_are_no_squares(models: Path) -> None:
    """The model alone takes 16 x 4 patches for 8 x 8. Without attention, what changes at the left stays there."""
    network, image = loaded(block(models, "dpt")).eval(), torch.rand(1, 3, 64, 256)
    for layer in network.encoder.encoder.layer:  # type: ignore[union-attr]
        nn.init.constant_(layer.attention.output.dense.weight, 0)
    with torch.no_grad():
        output = network.output(image)
        changed = image.clone()
        changed[..., :64] = 0.5
        difference = (network.output(changed) - output).abs()[0, 0]
    assert output.shape == (1, 1, 64, 256)
    assert difference[:, 192:].max() < 0.1 * difference[:, :64].mean()


@settings(max_examples=12)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["depth_anything", "dpt", "glpn", "depth_pro"]))
def test_any_size_is_taken(models: Path, height: int, width: int, family: str) -> None:
    network = loaded(block(models, family)).eval()
    with torch.no_grad():
        (inv_depth,) = network(torch.rand(1, 3, height, width))
    assert inv_depth.shape == (1, 1, height, width)
    assert inv_depth.min() > 0


@pytest.mark.parametrize(
    ("family", "size", "taken"),
    [
        ("depth_anything", (192, 640), (196, 644)),  # 182 x 630 if left to the model
        ("dpt", (192, 640), (192, 640)),
        ("dpt_swin", (100, 640), (96, 640)),
        ("glpn", (190, 630), (192, 640)),
        ("depth_pro", (192, 640), (128, 128)),
    ],
)
def test_images_are_resized_to_the_nearest_size_that_the_model_takes(
    family: str, size: tuple[int, int], taken: tuple[int, int]
) -> None:
    assert input_size(foundation.FAMILIES[family][0](), *size) == taken


def test_the_median_of_the_first_images_becomes_the_initial_depth(models: Path) -> None:
    chosen = block(models, "depth_anything", initial_depth=20.0)
    network, image = loaded(chosen), torch.rand(2, 3, 42, 70)
    chosen.adapt(network, image)
    with torch.no_grad():
        output = network.eval().output(image)
        scale, shift = network.scale.log_scale.exp(), network.scale.log_shift.exp()
    typical = output[output > 0].median()
    assert float(scale) == pytest.approx(0.9 / 20 / float(typical))
    assert float(shift) == pytest.approx(0.1 / 20)
    assert float(scale * typical + shift) == pytest.approx(1 / 20)


def test_metres_of_a_metric_model_stay(models: Path) -> None:
    chosen = block(models, "glpn")
    network, image = loaded(chosen).eval(), torch.rand(1, 3, 64, 64)
    chosen.adapt(network, image)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[0], 1 / (network.output(image) + 0.05))


def test_a_model_that_predicts_zero_everywhere_is_refused(models: Path) -> None:
    chosen = block(models, "depth_anything")
    network = loaded(chosen)
    last = [module for module in network.model.head.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.constant_(last.weight, 0)
    nn.init.constant_(last.bias, -1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"predicts 0 everywhere on the first training images"):
        chosen.adapt(network, torch.rand(1, 3, 42, 42))


@pytest.mark.parametrize("family", ["depth_anything", "dpt", "depth_pro"])
def test_pixels_at_infinity_can_come_nearer(models: Path, family: str) -> None:
    """The gradient of the model's own ReLU is 0 where its output is."""
    network = loaded(block(models, family))
    last = [module for module in network.model.head.modules() if isinstance(module, nn.Conv2d)][-1]
    assert last.bias is not None
    nn.init.constant_(last.weight, 0)
    nn.init.constant_(last.bias, -1)
    (-network(torch.rand(1, 3, 42, 42))[0]).mean().backward()
    assert last.bias.grad is not None
    assert last.bias.grad.item() == pytest.approx(-1.0)  # that of -(a x + b) by x, with a = 1


def test_low_rank_training_starts_at_the_model_and_changes_only_its_updates(models: Path) -> None:
    plain, network = loaded(block(models, "depth_anything")), loaded(block(models, "depth_anything", lora={"rank": 2}))
    image = torch.rand(1, 3, 42, 42)
    with torch.no_grad():
        assert torch.equal(network(image)[0], plain(image)[0])
    trained = [name for name, value in network.encoder.named_parameters() if value.requires_grad]
    assert {name.rpartition(".")[2] for name in trained} == {"down", "up"}
    assert len(trained) == 2 * 4 * 6  # query, key, value, projection and two of the perceptron, in each of four layers
    assert all(value.requires_grad for value in network.model.head.parameters())


def test_an_encoder_is_frozen_or_learns_slowly(models: Path) -> None:
    network = loaded(block(models, "glpn", frozen_encoder=True)).train()
    assert not any(value.requires_grad for value in network.encoder.parameters())
    assert not any(module.training for module in network.encoder.modules())
    assert network.model.decoder.training
    assert loaded(block(models, "glpn", learning_rate_factor=0.3)).encoder.learning_rate_factor == 0.3
    with pytest.raises(InputError, match="frozen_encoder and lora exclude each other"):
        block(models, "glpn", frozen_encoder=True, lora={})


@pytest.mark.parametrize("family", ["depth_anything", "dpt", "zoedepth"])
def test_gradient_checkpointing_gives_the_same_gradient(models: Path, family: str) -> None:
    gradients, image = [], torch.rand(1, 3, 42, 42)
    for saving in (False, True):
        network = loaded(block(models, family, gradient_checkpointing=saving)).train()
        torch.manual_seed(0)  # for dropout
        network(image)[0].log().sum().backward()
        gradients.append([value.grad for value in network.encoder.parameters() if value.grad is not None])
    for plain, saved in zip(*gradients, strict=True):
        torch.testing.assert_close(saved, plain)


@pytest.mark.parametrize("family", ["depth_anything", "dpt", "glpn"])
def test_bfloat16_changes_depth_by_a_few_percent(models: Path, family: str) -> None:
    chosen = block(models, family)
    network, image = loaded(chosen).eval(), torch.rand(1, 3, 64, 64)
    chosen.adapt(network, image)
    with torch.no_grad():
        plain = network(image)[0]
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(image)[0]
        narrow = network.to(torch.bfloat16)(image.bfloat16())[0]
    assert network.scale.log_scale.dtype == mixed.dtype == narrow.dtype == torch.float32
    for other in (mixed, narrow):
        assert ((other / plain).log().abs().median()) < 0.03


def test_a_completed_block_needs_no_model(models: Path, tmp_path: Path) -> None:
    path = foundation.save(foundation.depth_anything(), tmp_path / "model")
    chosen = TransformersDepthBlock(model=str(path)).completed()
    network = loaded(chosen).eval()
    for file in path.iterdir():
        file.unlink()
    again = parse(TransformersDepthBlock, json.loads(chosen.model_dump_json()), "run.yaml")
    copy = again.assemble().eval()
    copy.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 42, 42)
    with torch.no_grad():
        assert torch.equal(copy(image)[0], network(image)[0])
    assert again.completed() == chosen


def test_the_architecture_is_that_of_the_configuration_and_not_of_the_place(models: Path, tmp_path: Path) -> None:
    path = foundation.save(foundation.depth_anything(), tmp_path / "copy")
    here, there = block(models, "depth_anything"), TransformersDepthBlock(model=str(path), frozen_encoder=True)
    assert here.architecture() == there.architecture()
    assert here.architecture() != block(models, "depth_anything_metric").architecture()
    assert here.architecture() != block(models, "depth_anything", lora={}).architecture()


def test_what_is_no_depth_network_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: is no folder here, and cannot be loaded from the Hub"):
        TransformersDepthBlock(model=str(tmp_path / "nowhere")).completed()
    foundation.dinov2().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"is no depth network \(dinov2\); name one that AutoModelForDepthEstimation"):
        TransformersDepthBlock(model=str(tmp_path)).completed()
    path = foundation.save(foundation.dpt(), tmp_path / "model")
    (path / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"does not say how its images are normalized; copy the model's preproc"):
        TransformersDepthBlock(model=str(path)).completed()
    (path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    chosen = TransformersDepthBlock(model=str(path)).completed()
    assert chosen.record is not None
    assert chosen.record.std == (1.0, 1.0, 1.0)
    weights = load_file(path / "model.safetensors")
    unused = {name for name in weights if "fusion_stage.layers.0.residual_layer1" in name}
    assert len(unused) == 4
    save_file({name: value for name, value in weights.items() if name not in unused}, path / "model.safetensors", META)
    loaded(chosen)
    without = {name: value for name, value in weights.items() if not name.startswith("head")}
    save_file(without, path / "model.safetensors", META)
    with pytest.raises(InputError, match=r"lacks 6 weights of its depth network, such as head\."):
        loaded(chosen)


def test_what_a_configuration_does_not_say_must_be_said(models: Path) -> None:
    chosen = TransformersDepthBlock(model=str(folder(models, "chmv2")))
    with pytest.raises(InputError, match=r"output: .*\(chmv2\) does not say what the model predicts; give output: inv"):
        chosen.completed()
    assert block(models, "dpt", output="metric").completed().output == "metric"


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    path = foundation.save(foundation.dpt(), tmp_path / "model")
    chosen = TransformersDepthBlock(model=str(path)).completed()
    weights = path / "model.safetensors"
    weights.rename(path / "pytorch_model.bin")
    with pytest.raises(InputError, match="model: cannot be loaded by transformers"):
        chosen.start(chosen.assemble())


def test_weights_in_half_precision_are_trained_in_float32(tmp_path: Path) -> None:
    foundation.model(foundation.dpt()).half().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    network = loaded(TransformersDepthBlock(model=str(tmp_path)))
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_guidance_is_refused_and_flip_works(models: Path) -> None:
    with pytest.raises(InputError, match="the network 'transformers' cannot be guided"):
        block(models, "dpt", guidance={"semantics": {"kind": "labels"}}).assemble()
    chosen = block(models, "dpt", flip=True)
    network, image = chosen.assemble(), torch.rand(1, 3, 32, 64)
    chosen.start(network)
    chosen.adapt(network, image)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(image)[0], network(image.flip(-1))[0].flip(-1))


def test_a_prediction_does_not_depend_on_the_other_images_of_its_batch(models: Path) -> None:
    """A ZoeDepth with two heads chooses one of them for a whole batch."""
    network, image = loaded(block(models, "zoedepth_two_heads")).eval(), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(image)[0][1:2], network(image[1:2])[0])
