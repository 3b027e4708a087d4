"""Layouts, drives, traffic and surfaces."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from packdepth.city.drive import Drive, Recipe
from packdepth.city.ego import BRAKE, Ego
from packdepth.city.mesh import face_normals
from packdepth.city.road import Road
from packdepth.city.street import Street
from packdepth.city.style import STYLES, Split
from packdepth.city.textures import LEVELS, Material, Textures
from packdepth.city.traffic import Beside, Steady

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture(scope="module")
def road() -> Road:
    return Road(STYLES["train"], np.random.default_rng(0), 6000)


def test_a_road_is_smooth_and_never_meets_itself(road: Road) -> None:
    assert np.abs(np.diff(road.headings)).max() < 0.5 / 12  # radians in half a metre: no bend below 12 m
    assert np.abs(road.headings).max() < 0.75
    assert np.ptp(road.headings) > 0.8  # it turns
    assert (np.diff(road.points[:, 0]) > 0).all()
    for crossing in road.crossings:
        assert road.bend(crossing) == 0
    longer = Road(STYLES["train"], np.random.default_rng(0), 9000)
    np.testing.assert_array_equal(longer.points[: len(road.points)], road.points)


def test_places_beside_the_road(road: Road) -> None:
    x, y, heading = road.at(300.0, 2.0)
    cx, cy, _ = road.at(300.0)
    assert np.hypot(x - cx, y - cy) == pytest.approx(2.0)
    assert (x - cx) * np.cos(heading) + (y - cy) * np.sin(heading) == pytest.approx(0, abs=1e-9)
    assert road.at(-10.0)[0] == pytest.approx(-10.0)  # straight on beyond the ends


def test_a_drive_of_kilometres_turns_and_stops(road: Road) -> None:
    ego = Ego(road, np.random.default_rng(1), 160.0, 3000, stop_share=0.5)
    assert (np.diff(ego.places) >= 0).all()
    assert ego.places[-1] - ego.places[0] > 1500
    assert ego.pace.max() <= 15.0
    assert len(ego.stops) >= 3
    for stop in ego.stops:
        standing = ego.pace[int(stop.start * 10) + 2 : int(stop.end * 10) - 1]
        assert (standing == 0).all()
        assert 2 < stop.end - stop.start < 6
        assert stop.crossing - ego.progress(stop.start) == pytest.approx(12.8, abs=1.0)
    assert np.abs(np.diff(ego.pace)).max() * 10 < 2 * BRAKE


def test_traffic_keeps_its_distance() -> None:
    """Nobody drives through the camera's car, and a leader is exactly as fast as it."""
    for number in range(6):
        drive = Drive(Recipe(frames=80, lead_share=1.0), number)
        tracks = [actor.track for actor in drive.traffic.actors]
        assert sum(isinstance(track, Beside) and not track.drift for track in tracks) == 1
        for frame in range(0, 80, 5):
            own = drive.ego.pose(frame)[:3, 3]
            for actor, state in drive.traffic.visible(frame / 10, drive.ego.places[frame]):
                gap = np.linalg.norm(state.T_world_object[:2, 3] - own[:2])
                assert gap > 1.4, (number, frame, actor.track)


def test_oncoming_cars_come(road: Road) -> None:
    track = Steady(road, 500.0, -8.0, 1.75)
    first, second = track.at(0.0), track.at(1.0)
    assert first is not None
    assert second is not None
    assert second.s - first.s == pytest.approx(-8.0)
    ahead = first.T_world_object[:2, 0]
    assert ahead @ (second.T_world_object[:2, 3] - first.T_world_object[:2, 3]) == pytest.approx(8.0, rel=0.02)


def test_nothing_stands_on_the_lanes(road: Road) -> None:
    street = Street(STYLES["test"], road, np.random.default_rng(0), lambda index: np.random.default_rng(index))
    for index in range(4, 9):
        mesh = street.chunk(index)
        assert np.isfinite(mesh.corners).all()
        assert (mesh.label <= 18).all()
        centers = mesh.corners.mean(1)
        solid = centers[(centers[:, 2] > 0.3) & (centers[:, 2] < 3.0)]
        line = road.points[int(index * 100) - 100 : int(index * 100) + 300]
        distance = np.min(np.linalg.norm(solid[:, None, :2] - line[None, ::2], axis=-1), axis=1)
        assert distance.min() > 3.6


def test_meshes_face_outwards() -> None:
    """Flat faces and the normals for shading agree, so that light falls on the right side."""
    drive = Drive(Recipe(frames=1))
    mesh = drive.street.chunk(5)
    alignment = (face_normals(mesh.corners)[:, None] * mesh.normals).sum(-1)
    assert (alignment > 0).mean() > 0.97  # lumps of foliage fold a little


def test_surfaces_are_filtered() -> None:
    textures = Textures(STYLES["train"], np.random.default_rng(0))
    uv = np.random.default_rng(1).uniform(-50, 50, (4000, 2)).astype(np.float32)
    for material in (Material.ROAD, Material.FACADE_A, Material.LEAF):
        of = np.full(len(uv), material)
        spread, means = [], []
        for footprint in (0.01, 0.3, 3.0, 100.0):
            colors = textures.lookup(of, uv, np.full(len(uv), footprint, np.float32))
            assert ((colors > 0) & (colors <= 1)).all()
            spread.append(colors.std(0).mean())
            means.append(colors.mean(0))
        assert spread[0] > spread[1] > spread[2] >= spread[3]  # less and less is left to shimmer
        np.testing.assert_allclose(means[3], means[0], atol=0.03)  # and nothing gets lost
    assert len(textures.levels) == LEVELS


def test_splits_share_nothing() -> None:
    for one, other in combinations(SPLITS, 2):
        assert not set(STYLES[one].cars) & set(STYLES[other].cars)
        assert not set(STYLES[one].lorries) & set(STYLES[other].lorries)
        assert not set(STYLES[one].facades) & set(STYLES[other].facades)
        assert not set(STYLES[one].paints) & set(STYLES[other].paints)
        drives = [Drive(Recipe(split=split, frames=1)) for split in (one, other)]
        assert not np.array_equal(drives[0].road.points[:900], drives[1].road.points[:900])
        assert not np.array_equal(drives[0].textures.texels, drives[1].textures.texels)


def test_drives_of_a_split_differ() -> None:
    recipe = Recipe(frames=1)
    drives = [Drive(recipe, 0), Drive(recipe, 1), Drive(replace(recipe, seed=5), 0)]
    for one, other in combinations(drives, 2):
        assert not np.array_equal(one.road.points[:900], other.road.points[:900])
