"""The camera of a part of a sensor and of binned pixels: a pixel has the mean ray of the sensor's pixels in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packdepth.geometry.camera import Camera
from packdepth.sources.calibrations.matrices import SensorPart

FULL = Camera(fx=61.0, fy=63.0, cx=29.3, cy=17.8, width=60, height=40)


@given(
    left=st.integers(0, 30),
    top=st.integers(0, 20),
    width=st.integers(8, 30),
    height=st.integers(8, 20),
    binning_x=st.integers(0, 4),
    binning_y=st.integers(0, 4),
)
def test_each_pixel_has_the_mean_ray_of_the_pixels_of_the_sensor_that_it_is_made_of(
    left: int, top: int, width: int, height: int, binning_x: int, binning_y: int
) -> None:
    camera = SensorPart(left, top, width, height, binning_x, binning_y).camera(FULL)
    columns, rows = max(binning_x, 1), max(binning_y, 1)
    assert (camera.width, camera.height) == (width // columns, height // rows)
    x, y = (np.arange(FULL.width) - FULL.cx) / FULL.fx, (np.arange(FULL.height) - FULL.cy) / FULL.fy
    x, y = x[left:][: camera.width * columns], y[top:][: camera.height * rows]
    np.testing.assert_allclose(
        (np.arange(camera.width) - camera.cx) / camera.fx, x.reshape(-1, columns).mean(1), atol=1e-12
    )
    np.testing.assert_allclose(
        (np.arange(camera.height) - camera.cy) / camera.fy, y.reshape(-1, rows).mean(1), atol=1e-12
    )


@given(left=st.integers(0, 80), top=st.integers(0, 60), width=st.integers(0, 80), height=st.integers(0, 60))
def test_a_part_is_refused_if_it_is_not_inside_the_sensor(left: int, top: int, width: int, height: int) -> None:
    part = SensorPart(left, top, width, height, 1, 1)
    if left + (width or FULL.width) <= FULL.width and top + (height or FULL.height) <= FULL.height:
        assert part.camera(FULL).numbers == (FULL.fx, FULL.fy, FULL.cx - left, FULL.cy - top)
    else:
        with pytest.raises(ValueError, match="is not inside its 60x40 pixels"):
            part.camera(FULL)
