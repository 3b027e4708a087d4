"""`packdepth data import`: what comes out is the clip that went in."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from present import present

from packdepth.cli import main
from packdepth.errors import InputError, InputWarning
from packdepth.inspection.import_data import import_data
from packdepth.records import Clip
from packdepth.sources.folder import Folder

FIELDS = ("right", "depth", "lidar", "semantic", "instance", "moving")


def clip_at(folder: Path, **options: object) -> Clip:
    (clip,) = Folder(kind="folder", root=folder, **options).clips()
    return clip


@pytest.fixture
def rich_clip(moving_clip: Path, tmp_path: Path) -> Path:
    """The rendered clip, with something of everything."""
    folder = Path(shutil.copytree(moving_clip, tmp_path / "rich"))
    clip = clip_at(folder)
    height, width = clip.camera.height, clip.camera.width
    rng = np.random.default_rng(0)
    for name in ("right", "semantic", "instance", "moving", "lidar"):
        (folder / name).mkdir()
    (folder / "semantic.yaml").write_text("classes: [sky, road, c, d, e, f, g, h, i]\n")
    for frame in clip.frames:
        shutil.copy(frame.image.path, folder / "right" / frame.image.path.name)
    name = clip.frames[2].name
    np.savez(folder / "lidar" / f"{name}.npz", points=rng.random((9, 3)).astype(np.float32), origin=np.ones(3))
    Image.fromarray(rng.integers(0, 9, (height, width), np.uint8)).save(folder / "semantic" / f"{name}.png")
    Image.fromarray(rng.integers(0, 999, (height, width)).astype(np.uint16)).save(folder / "instance" / f"{name}.png")
    Image.fromarray(rng.integers(0, 2, (height, width), np.uint8)).save(folder / "moving" / f"{name}.png")
    values = yaml.safe_load((folder / "camera.yaml").read_text())
    (folder / "camera.yaml").write_text(yaml.safe_dump(values | {"baseline_m": 0.5, "interval_s": 0.1}))
    return folder


def test_a_clip_comes_out_as_it_went_in(rich_clip: Path, tmp_path: Path) -> None:
    (folder,) = import_data(rich_clip, tmp_path / "out", image_format="png")
    before, after = clip_at(rich_clip), clip_at(folder)
    assert vars(before.camera) == vars(after.camera)
    assert after.interval == before.interval == 0.1
    assert (after.baseline, after.drive) == (0.5, str(rich_clip))
    assert after.classes == ("sky", "road", *"cdefghi")
    for one, other in zip(before.frames, after.frames, strict=True):
        assert (one.name, one.time, one.speed) == (other.name, other.time, other.speed)
        np.testing.assert_allclose(present(one.pose), present(other.pose), atol=1e-12)
        assert one.image.path.read_bytes() == other.image.path.read_bytes()
        for field in FIELDS:
            value, copy = getattr(one, field), getattr(other, field)
            assert (value is None) == (copy is None)
            if value is not None:
                np.testing.assert_array_equal(value.read(), copy.read())
            if field == "lidar" and value is not None:
                np.testing.assert_array_equal(value.origin, copy.origin)


def test_the_size_that_was_asked_for(rich_clip: Path, tmp_path: Path) -> None:
    (folder,) = import_data(rich_clip, tmp_path / "out", size=(20, 36))
    before, after = clip_at(rich_clip), clip_at(folder)  # which checks the size of every file
    assert vars(after.camera) == vars(before.camera.resized(20, 36))
    assert after.frames[0].image.path.suffix == ".jpg"
    assert (present(after.frames[2].depth).read() > 0).mean() > 0.5
    np.testing.assert_array_equal(present(after.frames[2].lidar).read(), present(before.frames[2].lidar).read())


def written(folder: Path) -> dict[str, int]:
    """Return when each image of a clip was written; writing a file again changes it."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "frames").iterdir()}


def test_a_clip_with_a_lens_becomes_a_pinhole_clip(
    moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(moving_clip, tmp_path / "clip"))
    with (folder / "camera.yaml").open("a") as file:
        file.write("lens: {kind: brown_conrady, coefficients: [-0.2, 0.05, 0, 0]}\n")
    (out,) = import_data(folder, tmp_path / "out", image_format="png")
    before, after = clip_at(folder), clip_at(out)
    assert before.corrected is not None
    assert f"{folder}: {before.corrected}" in capsys.readouterr().out
    assert "lens" not in yaml.safe_load((out / "camera.yaml").read_text())
    assert after.corrected is None
    assert vars(before.camera) == vars(after.camera)
    assert before.camera.fx != clip_at(moving_clip).camera.fx
    for one, other in zip(before.frames, after.frames, strict=True):
        np.testing.assert_array_equal(one.image.read(), other.image.read())
        np.testing.assert_allclose(present(one.depth).read(), present(other.depth).read(), atol=1 / 256)


def test_an_import_continues_where_it_stopped(rich_clip: Path, tmp_path: Path) -> None:
    names = [frame.name for frame in clip_at(rich_clip).frames]
    image = rich_clip / "frames" / f"{names[3]}.png"
    content = image.read_bytes()
    broken = bytearray(content)
    broken[len(content) // 2] ^= 255  # its end is there, so only reading it finds out
    image.write_bytes(broken)
    output = tmp_path / "out"
    with pytest.raises(InputError, match=image.name):
        import_data(rich_clip, output)
    assert not (output / "rich").exists()
    assert Folder.recognizes(output) is False
    before = written(output / ".rich")
    assert sorted(before) == [f"{name}.jpg" for name in names[:3]]
    image.write_bytes(content)
    (folder,) = import_data(rich_clip, output)
    after = written(folder)
    assert {name: after[name] for name in before} == before
    assert [frame.name for frame in clip_at(folder).frames] == names
    assert import_data(rich_clip, output) == [folder]
    assert written(folder) == after


def test_another_import_is_refused(moving_clip: Path, tmp_path: Path) -> None:
    import_data(moving_clip, tmp_path / "out", size=(20, 36))
    with pytest.raises(InputError, match=r"this folder holds another import, with size=\[20, 36\], not null;"):
        import_data(moving_clip, tmp_path / "out")


def test_an_import_of_an_earlier_version_continues(data: Path, tmp_path: Path) -> None:
    """Its recipe has other names of keys, and their order."""
    source, output = data / "kitti_raw", tmp_path / "out"
    options = ("drives=[2011_09_26_drive_0052_sync]", "frames=[0, 2]")
    (folder,) = import_data(source, output, options=options, size=(20, 36))
    before, recipe = written(folder), yaml.safe_load((output / "import.yaml").read_text())
    block = recipe["source"]
    assert next(iter(block)) == "kind"
    assert block["color"] is True
    earlier = {"format": recipe["format"], "size": recipe["size"]}
    earlier["source"] = {key.replace("color", "colour"): value for key, value in reversed(block.items())}
    (output / "import.yaml").write_text(yaml.safe_dump(earlier, sort_keys=False))
    assert import_data(source, output, options=options, size=(20, 36)) == [folder]
    assert written(folder) == before
    with pytest.raises(InputError, match=r"this folder holds another import, with frames=\[0, 2\], not \[0, 1\];"):
        import_data(source, output, options=(*options[:1], "frames=[0, 1]"), size=(20, 36))


def test_a_recipe_that_cannot_be_read_is_another_import(moving_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "import.yaml").write_text("source: [")
    with pytest.raises(InputError, match=r"import\.yaml: .*another import, whose options cannot be read"):
        import_data(moving_clip, tmp_path)


def test_a_disk_that_is_too_small(moving_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match=r"has 0\.0 MB free, but about .* needed"):
        import_data(moving_clip, tmp_path / "out")
    assert not any((tmp_path / "out").glob("*/frames"))


def test_targets_become_a_split_file(moving_clip: Path, tmp_path: Path) -> None:
    clip = clip_at(moving_clip)
    split = tmp_path / "split.txt"
    split.write_text(f"{clip.name} {clip.frames[2].name}\n")
    (folder,) = import_data(moving_clip, tmp_path / "out", options=[f"split_file={split}"])
    assert clip_at(folder, split_file=tmp_path / "out/split.txt").targets == {clip.frames[2].name}


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    assert (
        main(["data", "import", str(data / "ddad_format"), str(output), "scenes=[scene_02]", "--size", "76", "121"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "18 frames of 6 clips to write" in printed
    assert "6 clips in" in printed
    clips = Folder(kind="folder", root=output).clips()
    assert {clip.drive for clip in clips} == {"scene_02"}
    assert clips[0].name == "folder/scene_02-CAMERA_01"
    assert clips[0].camera.fx == pytest.approx(2181.53 / 16, rel=1e-5)
    assert all(frame.lidar is not None and frame.pose is not None for clip in clips for frame in clip.frames)
    assert main(["data", "import", str(tmp_path / "none"), str(output)]) == 2
    assert main(["data", "import", str(data / "ddad_format"), str(output), "--size", "3", "4"]) == 2
    assert "--size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("camera.yaml", "fx: ", "fx: 1", r"camera.yaml: says 'fx,.*', and its source now gives 'fx,1"),
        (
            "frames.csv",
            "\n000003,0.3",
            "\n000003,0.35",
            r"frames.csv: says '000003,0.3.*, and its source now gives '000003,0.35",
        ),
    ],
)
def test_a_source_that_was_changed_after_its_import_is_said(
    moving_clip: Path, tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    source = Path(shutil.copytree(moving_clip, tmp_path / "source"))
    (folder,) = import_data(source, tmp_path / "out")
    import_data(source, tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    text = (source / name).read_text()
    assert old in text
    (source / name).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=f"{said}.*remove .*{folder.name} to import it again"):
        import_data(source, tmp_path / "out")
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_log_that_was_shifted_and_other_frames_are_said(moving_clip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(moving_clip, tmp_path / "source"))
    table = source / "frames.csv"
    header, *rows = table.read_text().splitlines()
    stamps = [[row.split(",")[0], 1.7e9 + float(row.split(",")[1]), *row.split(",")[2:]] for row in rows]
    table.write_text("\n".join([header, *(",".join(map(str, row)) for row in stamps)]) + "\n")
    (folder,) = import_data(source, tmp_path / "out")
    with (folder / "frames.csv").open("a") as file:
        file.write("\n")  # an empty line is no frame
    import_data(source, tmp_path / "out")
    later = [[name, float(str(time)) + 3600, *rest] for name, time, *rest in stamps]
    table.write_text("\n".join([header, *(",".join(map(str, row)) for row in later)]) + "\n")
    with pytest.raises(InputError, match=r"says '000000,1700000000.*, and its source now gives '000000,1700003600"):
        import_data(source, tmp_path / "out")
    table.write_text("\n".join([header, *(",".join(map(str, row)) for row in stamps[:-1])]) + "\n")
    for left in source.glob(f"*/{stamps[-1][0]}.png"):
        left.unlink()
    with pytest.raises(InputError, match=rf"has {len(rows)} frames, and its source now {len(rows) - 1}: one of them"):
        import_data(source, tmp_path / "out")


def test_a_calibration_by_hand_in_place_of_a_guess_stays(moving_clip: Path, tmp_path: Path) -> None:
    (folder,) = import_data(moving_clip / "frames", tmp_path / "out")
    values = yaml.safe_load((folder / "camera.yaml").read_text())
    del values["guess"]
    (folder / "camera.yaml").write_text(yaml.safe_dump(values | {"fx": 77.0, "fy": 77.0}))
    import_data(moving_clip / "frames", tmp_path / "out")
    assert clip_at(folder).camera.fx == 77.0


def test_times_that_nobody_told_stay_an_assumption(
    moving_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = import_data(moving_clip / "frames", tmp_path / "assumed")
    assert f"{folder / 'frames.csv'}: its times are an assumption" in capsys.readouterr().out
    assert clip_at(folder).times_assumed
    table = folder / "frames.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{header},speed_mps", *(f"{row},5" for row in rows)]) + "\n")
    with pytest.warns(InputWarning, match=r"frames.csv: its times are an assumption \(times_assumed in .*camera.yaml"):
        clip_at(folder)
    (folder,) = import_data(moving_clip / "frames", tmp_path / "told", options=["rate=10"])
    assert not clip_at(folder).times_assumed
