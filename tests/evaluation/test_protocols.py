"""Protocols: their settings, their images, and the lookup by name."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from PIL import Image
from present import present

from packdepth.config import load_run
from packdepth.data.dataset import measured_depth
from packdepth.errors import InputError
from packdepth.evaluation import Protocol, find_protocol, protocol_names, protocols
from packdepth.evaluation.baseline import baseline_images, baseline_scores
from packdepth.evaluation.ego_motion import constant_motion, ego_motion_errors, measured_motion
from packdepth.evaluation.ground_truth import stacked_ground_truth
from packdepth.evaluation.protocols import our_protocols
from packdepth.sources.folder import Folder
from packdepth.sources.video import Video

OURS = our_protocols()


@pytest.fixture
def odometry_copy(odometry: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(odometry, tmp_path / "data"))


@pytest.mark.parametrize("name", OURS)
def test_a_protocol_says_all_it_fixes(name: str) -> None:
    protocol = find_protocol(name)
    text = protocol.describe()
    assert text.startswith(f"protocol  {name}\n")
    for part in ("data", "split", "truth", f"{protocol.cap:g} m", "crop", "scaling", "resizing", "flip", "baseline"):
        assert part in text
    assert ("Garg" in text) == (protocol.crop == "garg")
    assert max(map(len, protocol.settings())) <= 8  # the column of describe()


@pytest.mark.parametrize("name", OURS)
def test_the_source_of_a_protocol_is_a_valid_block(name: str, tmp_path: Path) -> None:
    """An empty data set is refused for what is missing, not for what the block says."""
    protocol = OURS[name]
    assert isinstance(protocol.source, Mapping)
    (tmp_path / protocol.source["root"] / (protocol.marker or "")).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError) as caught:
        protocol.clips(tmp_path)
    assert not str(caught.value).startswith("protocol")


@pytest.mark.parametrize("name", ["city", "rgbd"])
def test_any_clip_in_the_folder_contract(name: str, moving_clip: Path) -> None:
    for data in (moving_clip, moving_clip.parent):
        (clip,) = find_protocol(name).clips(data)
        assert clip.name == "folder/moving_clip"
        assert all(frame.depth for frame in clip.frames)


def test_rgbd_takes_sequences_of_7_scenes(tmp_path: Path) -> None:
    for number in range(2):
        Image.new("RGB", (640, 480)).save(tmp_path / f"frame-{number:06d}.color.png")
        depth = np.full((480, 640), 2000, dtype=np.uint16)
        Image.fromarray(depth).save(tmp_path / f"frame-{number:06d}.depth.png")
    (clip,) = find_protocol("rgbd").clips(tmp_path)
    assert clip.name.startswith("rgbd/")
    assert [float(frame.depth.read().max()) for frame in clip.frames if frame.depth] == [2, 2]


def test_cityscapes_is_evaluated_against_its_disparity(tmp_path: Path) -> None:
    def place(folder: str, number: int, what: str) -> Path:
        path = tmp_path / "cityscapes" / folder / f"test/berlin/berlin_000000_{number:06d}_{what}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    for number in (18, 19, 20):
        Image.new("RGB", (40, 12)).save(place("leftImg8bit_sequence", number, "leftImg8bit.png"))
    Image.fromarray(np.full((12, 40), 513, dtype=np.uint16)).save(place("disparity", 19, "disparity.png"))
    camera = {"extrinsic": {"baseline": 0.2}, "intrinsic": {"fx": 30, "fy": 30, "u0": 19.5, "v0": 5.5}}
    place("camera", 19, "camera.json").write_text(json.dumps(camera))
    with pytest.raises(InputError, match="protocol cityscapes evaluates 1525 images"):
        find_protocol("cityscapes").clips(tmp_path)
    (clip,) = replace(find_protocol("cityscapes"), images=1).clips(tmp_path)
    (frame,) = [frame for frame in clip.frames if frame.depth]
    assert frame.name == "000000_000019"
    assert float(present(frame.depth).read()[6, 20]) == pytest.approx(3)  # 30 x 0.2 m / 2 pixels


def test_a_folder_without_depth(moving_clip: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    shutil.rmtree(clip / "depth")
    with pytest.raises(InputError, match="no frame has depth, against which protocol city evaluates; add it"):
        find_protocol("city").clips(clip)


def test_other_images_are_another_split(odometry_copy: Path) -> None:
    """Renamed frames: as many, but not those of the protocol."""
    protocol = replace(find_protocol("kitti-odometry-clip"), split="0123456789abcdef")
    with pytest.raises(
        InputError, match=r"evaluates other images \(its split is 0123456789abcdef, this one is a44524fec8d83b75"
    ):
        protocol.clips(odometry_copy)


def test_only_targets_of_a_split_are_evaluated(odometry: Path) -> None:
    protocol = find_protocol("kitti-odometry-clip")
    (clip,) = protocol.clips(odometry)
    clip = replace(clip, targets=frozenset(["000003", "000005"]))
    assert [i for i in range(51) if protocol.evaluates(clip, i)] == [3, 5]
    assert [i for i in range(51) if replace(protocol, step=5).evaluates(clip, i)] == [5]


@pytest.mark.parametrize("below", ["", "kitti_odometry/dataset"])
def test_the_odometry_clip_carries_depth(odometry: Path, below: str) -> None:
    (clip,) = find_protocol("kitti-odometry-clip").clips(odometry / below)
    assert len(clip.frames) == 51
    assert all(frame.depth and frame.pose is not None and frame.lidar is None for frame in clip.frames)


@pytest.mark.parametrize("below", ["", "kitti_raw"])
def test_the_raw_clip_carries_every_twelfth_scan(raw: Path, below: str) -> None:
    (clip,) = find_protocol("kitti-raw-clip").clips(raw / below)
    scanned = [frame for frame in clip.frames if frame.lidar]
    assert [frame.name for frame in scanned] == [f"{index:010d}" for index in range(0, 73, 12)]
    assert not any(frame.depth for frame in clip.frames)
    truth = measured_depth(clip, scanned[1])[0].numpy()
    grid = np.zeros_like(truth, dtype=bool)
    grid[::3, 1::3] = True
    assert ((truth > 0) == grid).all()
    image = scanned[1].image.read()[..., 0]
    np.testing.assert_allclose(truth[grid], 255 / (0.5 * image[grid]), rtol=1e-6)  # the nearest return


def test_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: not found; it would be the folder that holds kitti_odometry"):
        find_protocol("kitti-odometry-clip").clips(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [name for name, protocol in OURS.items() if protocol.marker])
def test_a_folder_of_something_else(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}: protocol {name} finds neither"):
        find_protocol(name).clips(tmp_path)


def test_truth_that_is_missing(odometry_copy: Path) -> None:
    next(odometry_copy.rglob("depth_0/000003.png")).unlink()
    with pytest.raises(InputError, match=r"000003.png: has no depth, but protocol kitti-odometry-clip evaluates"):
        find_protocol("kitti-odometry-clip").clips(odometry_copy)


def test_a_clip_that_is_too_short(odometry_copy: Path) -> None:
    next(odometry_copy.rglob("image_0/000050.png")).unlink()
    with pytest.raises(InputError, match="not a range within its 50 frames"):
        find_protocol("kitti-odometry-clip").clips(odometry_copy)


def test_evaluated_images_and_returns_are_left_out_of_training(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of kitti2015-left-out are none that its run file trains on; kitti360-4-beams has scans."""
    monkeypatch.setenv("PACKDEPTH_DATA", str(data))
    (evaluated,) = find_protocol("kitti2015-left-out").clips(data)
    run = load_run(Path(__file__).parents[2] / "configs/kitti2015_stereo.yaml", (f"data.train.1.root={data}/clips",))
    (trained,) = run.data.train[1].clips()
    assert (len(evaluated.frames), len(trained.frames)) == (8, 25)
    assert not {frame.name for frame in evaluated.frames} & {frame.name for frame in trained.frames}
    protocol = find_protocol("kitti360-4-beams")
    (clip,) = protocol.clips(data)
    assert sum(frame.lidar is not None for frame in clip.frames) == 25
    assert "that data.beams: 4 leaves out" in protocol.describe()


# --- protocols of one's own ---------------------------------------------------------------------------------------


def test_a_protocol_in_a_few_lines_has_the_usual_settings() -> None:
    protocol = Protocol(name="mine", about="my drives", source={"kind": "folder", "root": "."})
    city = find_protocol("city")
    assert protocol == replace(city, name="mine", about="my drives", boundaries=False)
    assert (protocol.crop, protocol.cap, protocol.min_depth, protocol.ranges[-1]) == ("none", 80, 1e-3, 80)


def test_a_source_is_a_block_or_an_object(moving_clip: Path) -> None:
    data = moving_clip.parent
    block = Protocol(name="a", about="", source={"kind": "folder", "root": moving_clip.name, "frames": [1, 4]})
    other = replace(block, source=Folder(kind="folder", root=Path(moving_clip.name), frames=(1, 4)))
    names = [[frame.name for clip in protocol.clips(data) for frame in clip.frames] for protocol in (block, other)]
    assert names == [["000001", "000002", "000003"]] * 2


def test_a_source_that_is_one_file(tmp_path: Path) -> None:
    protocol = Protocol(name="film", about="", source=Video(kind="video", file=Path("drive.mp4")))
    with pytest.raises(InputError, match=r"drive\.mp4"):
        protocol.clips(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": "gerg"}, "protocol mine: crop cannot be 'gerg': did you mean 'garg'"),
        ({"truth": "scan"}, "truth cannot be 'scan': valid names are depth, lidar"),
        ({"metrics": ("abs_rel", "a1", "a9")}, "metrics cannot be 'a9'"),
        ({"metrics": ("rmse", "a1")}, "metrics lack abs_rel, which reports need"),
    ],
)
def test_choices_that_do_not_exist(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Protocol(name="mine", about="", source={}, **values)  # type: ignore[arg-type]


def test_a_source_that_does_not_exist(moving_clip: Path) -> None:
    protocol = Protocol(name="mine", about="", source={"kind": "folder", "root": ".", "rooot": "."})
    with pytest.raises(InputError, match=r"protocol mine: source.*unknown key 'rooot': did you mean 'root'"):
        protocol.clips(moving_clip)


# --- lookup by name -----------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed package `harbor`, which has entry points of protocols, good and bad ones."""
    (tmp_path / "harbor.py").write_text(
        "from packdepth.evaluation import Protocol\n"
        "day = Protocol(name='harbor-day', about='by day', source={'kind': 'folder', 'root': '.'}, cap=50.0)\n"
        "def night(): return Protocol(name='harbor-night', about='by night', source=day.source)\n"
    )
    metadata = tmp_path / "harbor-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: harbor\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[packdepth.protocols]\n"
        "harbor-day = harbor:day\n"
        "harbor-night = harbor:night\n"
        "harbor-noon = harbor:day\n"
        "harbor-path = harbor:__doc__\n"
        "harbor-gone = harbor.gone:day\n"
        "city = harbor:night\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("harbor", None)


def test_protocols_of_installed_packages_are_found(installed: Path) -> None:
    assert find_protocol("harbor-day").cap == 50
    assert find_protocol("harbor-night").about == "by night"


def test_an_installed_package_is_imported_only_when_it_is_needed(installed: Path) -> None:
    assert find_protocol("city") is OURS["city"]
    assert {"harbor-day", "harbor-night"} < set(protocol_names())
    with pytest.raises(InputError):
        find_protocol("harbour")
    assert "harbor" not in sys.modules
    find_protocol("harbor-day")
    assert "harbor" in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("harbor-noon", "the package harbor provides a protocol named 'harbor-day' under this name"),
        ("harbor-path", "protocol 'harbor-path': the package harbor provides NoneType under this name"),
        ("harbor-gone", "the installed package harbor: its harbor-gone .* cannot be imported .*No module named"),
    ],
)
def test_an_installed_package_that_cannot_be_used(installed: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        find_protocol(name)
    assert "\n" not in str(caught.value)


def test_two_packages_that_offer_one_name_are_named(installed: Path) -> None:
    metadata = installed / "marina-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: marina\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[packdepth.protocols]\nharbor-day = marina:day\n")
    with pytest.raises(InputError, match=r"protocol 'harbor-day' is offered by the installed packages .*marina"):
        find_protocol("harbor-day")
    assert find_protocol("harbor-night").about == "by night"


def test_an_unknown_name_lists_all_names_and_the_nearest(installed: Path) -> None:
    with pytest.raises(
        InputError, match=r"no protocol is named 'harbor-dy' \(did you mean 'harbor-day'\?\); the protocols are city, "
    ) as caught:
        find_protocol("harbor-dy")
    for name in (*OURS, "harbor-day", "harbor-night"):
        assert name in str(caught.value)
    with pytest.raises(InputError, match="no protocol is named 'xyz'; the protocols are"):
        find_protocol("xyz")


def test_our_names_are_unique() -> None:
    modules = [import_module(f"{protocols.__name__}.{module.name}") for module in iter_modules(protocols.__path__)]
    found = [value.name for module in modules for value in vars(module).values() if isinstance(value, Protocol)]
    assert sorted(found) == sorted(OURS)


# --- real data ----------------------------------------------------------------------------------------------------

REAL = {  # measured; a row-wise prior, for comparison, has abs_rel 0.38 on the first clip
    "kitti-odometry-clip": {
        "baseline": {"abs_rel": 0.2003, "a1": 0.7810},
        "baseline_scaled": {"abs_rel": 0.2185, "a1": 0.7539},
    },
    "kitti2015-left-out": {
        "baseline": {"abs_rel": 0.1165, "a1": 0.8673},
        "baseline_scaled": {"abs_rel": 0.1449, "a1": 0.8578},
        "pixel_median": {"abs_rel": 0.0604, "a1": 0.9309},
        "pixel_median_scaled": {"abs_rel": 0.086, "a1": 0.9322},
    },
    "kitti-raw-clip": {
        "baseline": {"abs_rel": 0.1655, "a1": 0.7819},
        "baseline_scaled": {"abs_rel": 0.2041, "a1": 0.7876},
        "pixel_median": {"abs_rel": 0.0266, "a1": 0.9584},
        "pixel_median_scaled": {"abs_rel": 0.045, "a1": 0.961},
    },
}


@pytest.mark.parametrize("name", REAL)
def test_baselines_on_real_data(data: Path, name: str) -> None:
    protocol = find_protocol(name)
    found = baseline_scores(baseline_images(protocol, stacked_ground_truth(protocol, protocol.clips(data))))
    assert found.keys() == REAL[name].keys()
    for row, expected in REAL[name].items():
        assert {metric: found[row][metric] for metric in expected} == pytest.approx(expected, abs=6e-4)


def test_the_ego_motion_that_the_odometry_clip_gives_away(data: Path) -> None:
    """A straight road at nearly one speed: predicting the same motion for every frame errs by little."""
    motion = measured_motion(*find_protocol("kitti-odometry-clip").clips(data))
    assert motion is not None
    found = ego_motion_errors(constant_motion(motion), motion)
    assert (found.motions, found.distance) == (50, pytest.approx(59.9, abs=0.05))
    assert found.translation < 0.02
    assert found.length_ratio == pytest.approx(1, abs=0.01)
