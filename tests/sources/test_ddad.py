from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from present import present
from scipy.spatial.transform import Rotation

from packdepth.data.targets import distance
from packdepth.geometry.lidar import depth_map
from packdepth.records import Clip
from packdepth.sources.ddad import DataSet, Ddad, Scene, seconds
from packdepth.sources.json_file import read_json

POINTS = np.array([[4.0, 1, 0.5, 0.1], [8, -2, 1, 0.2], [-5, 0, 0, 0.3]])  # x ahead, y left, z up
R_VEHICLE_CAMERA = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def motion(place: list[float], rotation: np.ndarray | None = None) -> dict[str, Any]:
    qx, qy, qz, qw = Rotation.from_matrix(np.eye(3) if rotation is None else rotation).as_quat()
    turn = {"qx": qx, "qy": qy, "qz": qz, "qw": qw}
    return {
        "translation": {axis: value for axis, value in zip("xyz", place, strict=True) if value},  # as protobuf does
        "rotation": {name: value for name, value in turn.items() if value},
    }


def scene_json(poses: bool = True) -> dict[str, Any]:
    """Three samples of a car that drives ahead at 10 m/s, and scans 0.02 s (0.2 m) after the images."""
    scene: dict[str, Any] = {"name": "", "samples": [], "data": [], "log": "x"}
    for number in range(3):
        keys = []
        for name, y in (("CAMERA_01", 0.0), ("CAMERA_05", 0.5)):
            image: dict[str, Any] = {"filename": f"rgb/{name}/{number}.png", "height": 12, "width": 40}
            if poses:
                image["pose"] = motion([1.0 + number, y, 0], R_VEHICLE_CAMERA)
            stamp = f"2463-05-15T00:38:5{number}.203752Z"
            identity = {"name": name, "timestamp": stamp}
            scene["data"].append({"key": f"{name}{number}", "id": identity, "datum": {"image": image}})
            keys.append(f"{name}{number}")
        cloud: dict[str, Any] = {"filename": f"point_cloud/LIDAR/{number}.npz", "point_format": ["X"]}
        if poses:
            cloud["pose"] = motion([number + 0.2, 0, 0])
        identity = {"name": "LIDAR", "timestamp": f"2463-05-15T00:38:5{number}.403752Z"}
        scene["data"].append({"key": f"L{number}", "id": identity, "datum": {"point_cloud": cloud}})
        scene["samples"].append({"calibration_key": "c", "datum_keys": [*keys, f"L{number}"]})
    return scene


def write(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


@pytest.fixture
def root(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """A data set of one scene with two cameras, in the training split; the second scene listed is not there."""
    write(tmp_path / "ddad.json", {"scene_splits": {"0": {"filenames": ["000001/scene_a.json"]}}})
    write(tmp_path / "agents.json", {"metadata": {}})
    write(tmp_path / "000001/scene_a.json", scene_json())
    for name in ("CAMERA_01", "CAMERA_05"):
        for number in range(3):
            write_image(tmp_path / f"000001/rgb/{name}/{number}.png")
    (tmp_path / "000001/point_cloud/LIDAR").mkdir(parents=True)
    for number in range(3):
        np.savez(tmp_path / f"000001/point_cloud/LIDAR/{number}.npz", data=POINTS)
    camera = {"fx": 30.0, "fy": 31.0, "cx": 19.5, "cy": 5.5}
    extrinsics = [motion([0, 0, 0]), motion([1, 0, 0], R_VEHICLE_CAMERA), motion([1, 0.5, 0], R_VEHICLE_CAMERA)]
    calibration = {"names": ["lidar", "CAMERA_01", "CAMERA_05"], "intrinsics": [{}, camera, camera]}
    write(tmp_path / "000001/calibration/c.json", calibration | {"extrinsics": extrinsics})
    return tmp_path


def source(root: Path, **changes: Any) -> Ddad:
    return Ddad(kind="ddad", root=root, **changes)


def in_camera(shift: float, left: float = 0.0) -> np.ndarray:
    """The points, seen from a camera so far ahead and to the left of the scanner."""
    return np.column_stack([-POINTS[:, 1] + left, -POINTS[:, 2], POINTS[:, 0] - shift])


def test_clips(root: Path) -> None:
    one, five = pickle.loads(pickle.dumps(source(root).clips()))
    assert (one.name, five.name) == ("ddad/000001/CAMERA_01", "ddad/000001/CAMERA_05")
    assert one.drive == five.drive == "000001"
    assert one.interval == pytest.approx(0.1)
    assert (one.camera.fx, one.camera.fy, one.camera.width, one.camera.height) == (30, 31, 40, 12)
    assert [frame.name for frame in one.frames] == ["0", "1", "2"]
    assert source(root / "ddad.json", cameras=["camera_05"]).clips()[0].name == five.name


def test_a_camera_with_distortion_is_refused(root: Path, complaint: Callable[..., None]) -> None:
    path = root / "000001/calibration/c.json"
    content = json.loads(path.read_text())
    content["intrinsics"][1] |= {"k1": 0.0, "p1": 0.0, "fov": 1.2}
    write(path, content)
    assert len(source(root).clips()) == 2
    content["intrinsics"][1]["k1"] = -0.1
    write(path, content)
    complaint(source(root).clips, "CAMERA_01", "no pinhole", "k1=-0.1", "'cameras'")


def test_stamps_ten_times_too_large_are_put_right(root: Path) -> None:
    times = [frame.time for frame in source(root).clips()[0].frames]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-6)
    assert times[0] == pytest.approx(1_556_919_593.02, abs=0.01)  # in May 2019
    correction = source(root).clips()[0].corrected
    assert correction is not None
    assert "ten times too large (the first says 2463-05-15)" in correction
    scene = scene_json()
    for number, entry in enumerate(scene["data"]):
        entry["id"]["timestamp"] = f"2020-05-15T00:38:{number // 3:02}.5Z"
    write(root / "000001/scene_a.json", scene)
    (clip, _) = source(root).clips()
    assert np.diff([frame.time for frame in clip.frames]) == pytest.approx([1, 1])
    assert clip.corrected is None


def test_scans_lie_where_the_camera_is_when_it_sees(root: Path) -> None:
    one, five = source(root).clips()
    for frame in one.frames:  # the car has moved 0.2 m before the scan, so the camera is 0.8 m ahead of the scanner
        np.testing.assert_allclose(present(frame.lidar).read(), in_camera(0.8), atol=1e-6)
    np.testing.assert_allclose(present(five.frames[1].lidar).read(), in_camera(0.8, left=0.5), atol=1e-6)
    np.testing.assert_allclose(present(one.frames[2].pose)[:3, 3], [3, 0, 0])
    np.testing.assert_allclose(present(one.frames[2].pose)[:3, :3], R_VEHICLE_CAMERA, atol=1e-12)


def test_without_poses_the_calibration_places_scans(root: Path) -> None:
    write(root / "000001/scene_a.json", scene_json(poses=False))
    (one, _) = source(root).clips()
    assert one.frames[0].pose is None
    np.testing.assert_allclose(present(one.frames[0].lidar).read(), in_camera(1.0), atol=1e-6)


def test_partial_data(root: Path, complaint: Callable[..., None]) -> None:
    (root / "000001/point_cloud/LIDAR/1.npz").unlink()
    assert [frame.lidar is None for frame in source(root).clips()[0].frames] == [False, True, False]
    (root / "000001/rgb/CAMERA_05/2.png").unlink()
    complaint(source(root).clips, "CAMERA_05/2.png", "not found", "1 of the 3 CAMERA_05 images", "partial: true")
    with pytest.warns(UserWarning, match="1 of the 3 CAMERA_05 images"):
        assert [len(clip.frames) for clip in source(root, partial=True).clips()] == [3, 2]
    names = ["000001/scene_a.json", "000002/scene_b.json"]
    write(root / "ddad.json", {"scene_splits": {"0": {"filenames": names}}})
    complaint(source(root).clips, "000002/scene_b.json", "1 of the 2 scenes")
    (clip,) = source(root, scenes=["000001"], cameras=["CAMERA_01"]).clips()
    assert clip.name == "ddad/000001/CAMERA_01"
    with pytest.warns(UserWarning, match="1 of the 2 scenes"):
        (clip,) = source(root, partial=True, cameras=["CAMERA_01"]).clips()
    assert clip.name == "ddad/000001/CAMERA_01"


def test_errors(root: Path, complaint: Callable[..., None], write_image: Callable[..., Path]) -> None:
    scene, calibration = root / "000001/scene_a.json", root / "000001/calibration/c.json"

    def fails(*parts: object, **options: Any) -> None:
        complaint(source(root, **options).clips, *parts)

    fails("no split 'val'", "train", split="val")
    fails("no scene '00001'", "'000001'", scenes=["00001"])
    fails("no camera 'CAMERA_02'", "CAMERA_0", cameras=["CAMERA_02"])
    complaint(source(root / "none").clips, root / "none", "not found")
    complaint(source(root / "000001").clips, "one JSON that lists scenes", "none")

    np.savez(root / "000001/point_cloud/LIDAR/0.npz", data=np.zeros((0, 4)))
    complaint(present(source(root).clips()[0].frames[0].lidar).read, "LIDAR/0.npz", "holds no point")
    (root / "000001/point_cloud/LIDAR/0.npz").write_bytes(b"PK")
    complaint(present(source(root).clips()[0].frames[0].lidar).read, "LIDAR/0.npz", "no npz")

    image = root / "000001/rgb/CAMERA_01/1.png"
    image.write_bytes(image.read_bytes()[:-20])
    fails(image, "truncated")
    write_image(image, 6, 20)
    fails(image, "20x6", "40x12")
    write_image(image)

    def pose(scene: dict[str, Any]) -> Any:
        return scene["data"][0]["datum"]["image"]["pose"]

    for change, parts in (
        (lambda s: pose(s)["translation"].update(x=float("nan")), ("data[0].datum.image.pose.translation.x", "finite")),
        (lambda s: pose(s)["rotation"].update(qw=5.0), ("rgb/CAMERA_01/0.png", "length")),
        (lambda s: s["data"][0].update(key="other"), ("no datum 'CAMERA_010'",)),
        (lambda s: s.pop("samples"), ("samples", "is missing")),
        (lambda s: s["data"][1]["id"].update(timestamp="soon"), ("data[1].id.timestamp",)),
    ):
        values = scene_json()
        change(values)
        write(scene, values)
        fails(scene, *parts)
    write(scene, scene_json())
    whole = calibration.read_text()
    write(calibration, json.loads(whole) | {"names": ["LIDAR"]})
    fails(calibration, "differ in length")
    calibration.write_text(whole[:50])
    fails(calibration, "no valid JSON")
    calibration.unlink()
    fails(calibration, "not found")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["samples", "data", "id", "key"]), inner)
    ),
    max_leaves=8,
)


@given(content=st.text(max_size=40) | json_values.map(json.dumps))
def test_any_file_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, read_or_refused: Callable[..., Any], content: str
) -> None:
    path = tmp_path_factory.mktemp("json") / "scene.json"
    path.write_text(content, encoding="utf-8")
    for model in (Scene, DataSet):
        read = read_or_refused(lambda model=model: read_json(path, model, "a scene"), path)
        assert read is None or isinstance(read, model)


@pytest.fixture(scope="module")
def real(data: Path) -> dict[str, Clip]:
    return {clip.name: clip for clip in source(data / "ddad_format").clips()}


def test_real_scenes(real: dict[str, Clip]) -> None:
    cameras = {"scene_01": ("01", "05", "06"), "scene_02": ("01", "05", "06", "07", "08", "09")}
    assert set(real) == {f"ddad/{scene}/CAMERA_{number}" for scene, names in cameras.items() for number in names}
    for name, clip in real.items():
        assert len(clip.frames) == 3
        assert np.diff([frame.time for frame in clip.frames]) == pytest.approx([0.1, 0.1], abs=1e-3)
        speeds = [(distance(clip, i, i + 1) or 0.0) / 0.1 for i in range(2)]
        assert speeds == pytest.approx([12.7, 12.7] if "scene_02" in name else [0, 0], abs=0.1)
    front = real["ddad/scene_02/CAMERA_01"].frames
    ahead = np.linalg.solve(present(front[0].pose), present(front[1].pose))[:3, 3]
    assert ahead[2] == pytest.approx(1.27, abs=0.01)
    assert np.abs(ahead[:2]).max() < 0.1
    back = real["ddad/scene_02/CAMERA_09"].frames
    assert np.linalg.solve(present(back[0].pose), present(back[1].pose))[2, 3] == pytest.approx(-1.27, abs=0.03)


def test_real_scans_are_seen_by_every_camera(real: dict[str, Clip]) -> None:
    for clip in real.values():
        for frame in clip.frames:
            depth = depth_map(torch.from_numpy(present(frame.lidar).read()), clip.camera)
            assert (depth > 0).sum() > 4000
            assert depth.max() < 260


def test_real_scan_hits_the_depth_that_tri_recorded(data: Path, real: dict[str, Clip]) -> None:
    """TRI keeps the last point in a pixel, which begins at its center, so single points differ."""
    clip = real["ddad/scene_02/CAMERA_01"]
    record = np.load(data / "ddad_format/golden_scene_02_camera_01.npz")
    np.testing.assert_allclose(clip.camera.matrix(), record["intrinsics_full"])
    np.testing.assert_allclose(present(clip.frames[1].pose), record["pose"], atol=1e-12)
    points = present(clip.frames[1].lidar).read().astype(np.float64)
    points = points[points[:, 2] > 0]
    u, v, _ = (points / points[:, 2:] @ record["intrinsics_full"].T).T
    seen = (u >= 0) & (u < clip.camera.width) & (v >= 0) & (v < clip.camera.height)
    expected = record["gt_depth"][v[seen].astype(int), u[seen].astype(int)]
    assert seen.sum() > 5000
    assert np.isclose(points[seen, 2], expected, rtol=1e-4).mean() > 0.99


def test_seconds() -> None:
    assert seconds(datetime(2019, 5, 3, tzinfo=UTC)) == 1_556_841_600
    assert seconds(datetime.fromtimestamp(15_568_416_001, UTC)) == 1_556_841_600.1
