"""Samples: context, distances, augmentation by draw, the order of draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from packdepth.config import Augmentation, Jitter
from packdepth.data.dataset import ClipDataset, DrawSampler, ShardSampler, measured_depth
from packdepth.data.fields import check_offers
from packdepth.data.targets import depth_source, distance, distance_source, target_indices
from packdepth.errors import InputError
from packdepth.records import Batch, Clip, Frame
from packdepth.sources.files import PointsNpz
from packdepth.sources.folder import Folder


@pytest.fixture(scope="module")
def clip(moving_clip: Path) -> Clip:
    return Folder(kind="folder", root=moving_clip).clips()[0]


def with_times(clip: Clip, times: list[float]) -> Clip:
    return replace(clip, frames=tuple(replace(f, time=t) for f, t in zip(clip.frames, times, strict=True)))


def test_targets_have_all_their_context(clip: Clip) -> None:
    assert target_indices(clip, (-1, 1)) == [1, 2, 3, 4]
    assert target_indices(clip, (1,)) == [0, 1, 2, 3, 4]
    assert target_indices(clip, (-2, -1, 1, 2)) == [2, 3]
    assert target_indices(replace(clip, independent=True), (-1, 1)) == []
    assert target_indices(replace(clip, independent=True), ()) == [0, 1, 2, 3, 4, 5]


def test_a_gap_in_time_is_not_crossed(clip: Clip) -> None:
    gap = with_times(clip, [0.0, 0.1, 0.2, 1.2, 1.3, 1.4])
    assert target_indices(gap, (-1, 1)) == [1, 4]
    assert target_indices(gap, (1,)) == [0, 1, 3, 4]


def test_scattered_frames_are_no_neighbors(clip: Clip) -> None:
    scattered = with_times(clip, [0.0, 10.0, 20.0, 30.0, 30.1, 30.2])
    assert target_indices(scattered, (-1, 1)) == [1, 2, 3, 4]  # for all that is known, an image every ten seconds
    assert target_indices(replace(scattered, interval=0.1), (-1, 1)) == [4]


def test_targets_are_chosen_and_neighbors_stay(clip: Clip) -> None:
    names = frozenset(clip.frames[i].name for i in (0, 2))
    samples = ClipDataset([replace(clip, targets=names)], (16, 32), (-1, 1))
    assert [sample for _, sample in samples.targets] == [2]
    assert samples[0].context.shape[0] == 2
    with pytest.raises(InputError, match=r"no target \(of 1\) of clip .* has context frames"):
        ClipDataset([replace(clip, targets=frozenset([clip.frames[0].name]))], (16, 32), (-1, 1))


def test_distance_from_speed_and_from_poses(clip: Clip) -> None:
    assert distance_source(clip) == "speed"
    assert distance(clip, 2, 1) == pytest.approx(0.5)
    assert distance(clip, 1, 3) == pytest.approx(1.0)
    posed = replace(clip, frames=tuple(replace(frame, speed=None) for frame in clip.frames))
    assert distance_source(posed) == "poses"
    assert distance(posed, 2, 1) == pytest.approx(0.5)
    bare = replace(posed, frames=tuple(replace(frame, pose=None) for frame in posed.frames))
    assert distance_source(bare) is None


def test_accelerating_speed_is_integrated(clip: Clip) -> None:
    frames = tuple(replace(frame, speed=10 * frame.time) for frame in clip.frames)  # 10 m/s^2 from rest
    assert distance(replace(clip, frames=frames), 4, 0) == pytest.approx(10 * 0.4**2 / 2)


def test_what_a_source_lacks_is_said_before_training(clip: Clip) -> None:
    check_offers([clip], {"velocity": ("distance",), "photometric": ()})
    bare = replace(clip, frames=tuple(replace(frame, speed=None, pose=None) for frame in clip.frames))
    with pytest.raises(InputError, match=r"'velocity' needs the distance traveled.*moving_clip.*neither speed nor"):
        check_offers([clip, bare], {"photometric": (), "velocity": ("distance",)})
    with pytest.raises(InputError, match=r"moving_clip.*neither speed nor"):
        check_offers([clip], {"velocity": ("distance",)}, validation=[bare])


def test_what_measures_depth(clip: Clip) -> None:
    check_offers([clip], {"berhu": ("truth",)})
    assert depth_source(clip) == "maps"
    frames = tuple(replace(frame, depth=None) for frame in clip.frames)
    bare = replace(clip, frames=frames)
    assert depth_source(bare) is None
    message = r"'berhu' needs measured depth, but clip .*moving_clip.* has neither a depth map nor a LiDAR scan"
    with pytest.raises(InputError, match=message):
        check_offers([clip, bare], {"berhu": ("truth",)})
    scan = PointsNpz(Path("scan.npz"))  # it is never read
    scanned = replace(clip, frames=(replace(frames[0], lidar=scan), *frames[1:]))
    check_offers([scanned], {"berhu": ("truth",)})  # frames without a measurement count as zero
    check_offers([scanned], {"berhu": ("truth",)}, validation=[bare])  # such as the held-out end of a clip
    assert depth_source(scanned) == "lidar"
    assert depth_source(replace(clip, frames=(*scanned.frames[:1], *clip.frames[1:]))) == "lidar and maps"


def test_measured_depth_of_clips_of_two_sizes_stacks_in_the_larger_one_and_keeps_every_measurement(clip: Clip) -> None:
    def sparse(each: Clip, frame: Frame) -> torch.Tensor:
        depth = torch.zeros(1, each.camera.height, each.camera.width)
        depth[0, 1, 2], depth[0, -1, -1] = 7.0, 9.0
        return depth

    small = replace(clip, name="small", camera=clip.camera.resized(36, 72))
    samples = ClipDataset([small, clip], (24, 48), (-1, 1), measure=sparse, one_size=True)
    truth = [samples.read_depth(each, each.frames[0]) for each in (small, clip)]
    assert [depth.shape for depth in truth] == [(1, 48, 96)] * 2
    assert [depth.nonzero().tolist() for depth in truth] == [[[0, 2, 3], [0, 47, 95]], [[0, 1, 2], [0, 47, 95]]]
    assert [sorted(depth[depth > 0].tolist()) for depth in truth] == [[7.0, 9.0]] * 2
    alone = ClipDataset([small, clip], (24, 48), (-1, 1), measure=sparse)
    assert alone.read_depth(small, small.frames[0]).shape == (1, 36, 72)


def test_a_sample_holds_target_context_and_what_is_asked_for(clip: Clip) -> None:
    sample = ClipDataset([clip], (24, 48), (-1, 1), frozenset({"distance", "truth"}))[1]
    assert sample.names == [f"{clip.name}/{clip.frames[2].name}"]
    assert sample.image.shape == (3, 24, 48)
    assert sample.context.shape == (2, 3, 24, 48)
    assert (sample.camera.height, sample.camera.width) == (24, 48)
    assert sample.camera.fx == pytest.approx(clip.camera.fx / 2)
    assert sample.distance is not None
    torch.testing.assert_close(sample.distance, torch.tensor([0.5, 0.5]))
    assert sample.truth is not None
    assert sample.truth.shape == (1, clip.camera.height, clip.camera.width)
    torch.testing.assert_close(sample.truth, measured_depth(clip, clip.frames[2]))
    bare = ClipDataset([clip], (24, 48), (-1, 1))[1]
    assert bare.distance is None
    assert bare.truth is None


def test_images_without_augmentation_are_those_of_the_clip(clip: Clip) -> None:
    sample = ClipDataset([clip], (clip.camera.height, clip.camera.width), (-1, 1))[0]
    for tensor, frame in zip((sample.context[0], sample.image, sample.context[1]), clip.frames[:3], strict=True):
        expected = torch.from_numpy(frame.image.read().copy()).permute(2, 0, 1) / 255
        torch.testing.assert_close(tensor, expected, atol=1e-5, rtol=0)
    assert sample.network_image is sample.image


def test_augmentation_follows_from_the_draw_alone(clip: Clip) -> None:
    first, second = (
        ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation(), seed=3, cache=cache)
        for cache in (False, True)
    )
    draws = [0, 5, 9, 2, 9]
    for a, b in zip([first[d] for d in draws], [second[d] for d in reversed(draws)][::-1], strict=True):
        torch.testing.assert_close(a.network_image, b.network_image, rtol=0, atol=0)
        assert a.camera.cx == b.camera.cx
    repeats = [first[0 + len(first) * n] for n in range(12)]
    assert len({float(sample.network_image.sum()) for sample in repeats}) == 12
    assert len({float(sample.camera.cx) for sample in repeats}) == 2  # as seen and mirrored
    other = ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation(), seed=4)[0]
    assert not torch.equal(other.network_image, first[0].network_image)


def test_flip_mirrors_the_whole_sample_and_jitter_is_for_networks_alone(clip: Clip) -> None:
    plain = ClipDataset([clip], (24, 48), (-1, 1))[1]
    flipped = ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation(flip=1, jitter=None))[1]
    torch.testing.assert_close(flipped.image, plain.image.flip(-1))
    torch.testing.assert_close(flipped.context, plain.context.flip(-1))
    torch.testing.assert_close(flipped.network_context, plain.context.flip(-1))
    assert flipped.camera.cx == pytest.approx(47 - float(plain.camera.cx))
    jittered = ClipDataset([clip], (24, 48), (-1, 1), augmentation=Augmentation(flip=0, jitter=Jitter()))[1]
    torch.testing.assert_close(jittered.image, plain.image)
    assert (jittered.network_image - plain.image).abs().max() > 0.02


def with_right_images(clip: Clip) -> Clip:
    """Each frame's right image is the image of the next frame, and the last one's that of the first."""
    rights = [frame.image for frame in (*clip.frames[1:], clip.frames[0])]
    frames = tuple(replace(frame, right=right) for frame, right in zip(clip.frames, rights, strict=True))
    return replace(clip, frames=frames, baseline=0.4)


@pytest.mark.parametrize("cache", [False, True])
def test_right_images_are_read_where_they_are_asked_for(clip: Clip, cache: bool) -> None:
    paired, jitter = with_right_images(clip), Augmentation(flip=0, jitter=Jitter())
    dataset = ClipDataset([paired], (24, 48), (), frozenset({"right"}), cache=cache)
    assert len(dataset) == 6
    first, second = dataset[0], dataset[1]
    assert first.context.shape == (0, 3, 24, 48)
    assert first.right is not None
    torch.testing.assert_close(first.right, second.image)
    assert first.network_right is first.right
    batch = Batch.stack([first, second])
    assert batch.baseline is not None
    torch.testing.assert_close(batch.baseline, torch.tensor([0.4, 0.4]))
    jittered = ClipDataset([paired], (24, 48), (), frozenset({"right"}), jitter)[0]
    assert jittered.right is not None
    assert jittered.network_right is not None
    torch.testing.assert_close(jittered.right, first.right)
    assert (jittered.network_right - first.right).abs().max() > 0.02
    assert ClipDataset([paired], (24, 48), ())[0].right is None


def test_stereo_needs_right_images_of_all_frames_and_their_baseline(clip: Clip) -> None:
    paired, needs = with_right_images(clip), {"stereo": ("right",)}
    check_offers([paired], needs)
    one_less = (replace(paired.frames[0], right=None), *paired.frames[1:])
    for bare, lack in (
        (clip, "no right images"),
        (replace(paired, baseline=None), "no baseline_m in its camera.yaml"),
        (replace(paired, frames=one_less), f"no right image for 1 of its {len(one_less)} frames, the first is 000000"),
    ):
        with pytest.raises(InputError, match=rf"'stereo' needs stereo pairs, but clip .* has {lack}"):
            check_offers([paired, bare], needs)


def test_an_image_of_another_size_is_an_error(clip: Clip, tmp_path: Path) -> None:
    wrong = replace(clip, camera=replace(clip.camera, width=64))
    with pytest.raises(InputError, match=r"\.png: is 96x48 pixels, but the clip's camera is for 64x48"):
        ClipDataset([wrong], (24, 48), (-1, 1))[0]


def test_too_short_a_clip_is_an_error(clip: Clip) -> None:
    with pytest.raises(InputError, match="no frame of clip folder/moving_clip has context frames"):
        ClipDataset([replace(clip, frames=clip.frames[:2])], (24, 48), (-1, 1))


def test_samples_stack(clip: Clip) -> None:
    fields = frozenset({"distance", "truth"})
    dataset = ClipDataset([clip], (24, 48), (-1, 1), fields, augmentation=Augmentation())
    batch = Batch.stack([dataset[0], dataset[3]])
    assert batch.image.shape == (2, 3, 24, 48)
    assert batch.context.shape == (2, 2, 3, 24, 48)
    assert batch.distance is not None
    assert batch.distance.shape == (2, 2)
    assert batch.truth is not None
    assert batch.truth.shape == (2, 1, clip.camera.height, clip.camera.width)


def epochs(sampler: DrawSampler, count: int) -> list[list[int]]:
    batches = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        batches += list(sampler)
    return batches


def test_draws_pass_over_the_data_again_and_again() -> None:
    draws = [draw for batch in epochs(DrawSampler(7, 4, 7, seed=0), 3) for draw in batch]
    assert sorted(draws) == list(range(84))  # 12 passes over 7 samples, each a permutation
    passes = np.array(draws).reshape(12, 7)
    assert all(sorted(p % 7) == list(range(7)) for p in passes)
    assert len({tuple(p % 7) for p in passes}) > 6
    assert len(DrawSampler(7, 4, 2, seed=0)) == 2


def test_processes_share_every_batch() -> None:
    whole = epochs(DrawSampler(10, 4, 3, seed=5), 2)
    shares = [epochs(DrawSampler(10, 4, 3, seed=5, rank=rank, processes=2), 2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == whole


def test_an_epoch_is_the_same_whether_or_not_the_ones_before_were_drawn() -> None:
    fresh = DrawSampler(10, 4, 3, seed=5)
    fresh.set_epoch(1)
    assert list(fresh) == epochs(DrawSampler(10, 4, 3, seed=5), 2)[3:]
    assert list(DrawSampler(10, 4, 3, seed=5, epoch=1)) == list(fresh)


def test_validation_sees_each_sample_once() -> None:
    shards = [[i for batch in ShardSampler(7, rank, 3) for i in batch] for rank in range(3)]
    assert sorted(i for shard in shards for i in shard) == list(range(7))
    assert [len(ShardSampler(7, rank, 3)) for rank in range(3)] == [3, 2, 2]


def test_a_field_that_is_not_there_is_named_with_the_nearest_one(clip: Clip) -> None:
    with pytest.raises(InputError, match=r"^objective term 'mine' needs 'distanse', .* did you mean 'distance'\?$"):
        check_offers([clip], {"mine": ("distanse",)})
