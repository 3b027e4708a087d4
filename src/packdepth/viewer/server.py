"""The page of the viewer, served by viser. One thread reads, predicts and draws; what people change asks for it."""

from __future__ import annotations

import contextlib
import io
import math
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import viser
import viser.transforms
import websockets.asyncio.server

from packdepth.errors import InputError
from packdepth.inference.fusion import FusedMap
from packdepth.live.page import LOOPBACK, check_address
from packdepth.viewer.footage import Footage
from packdepth.viewer.scene import (
    FAR_SHARE,
    MEASURED_COLOR,
    Coloring,
    Shot,
    cloud_of,
    colorings,
    legend,
    rounded_up,
    start_reach,
    start_view,
)

IDLE_SECONDS = 0.1  # between looks for changes while there is nothing to do
PATH_SECONDS = 1.0  # between updates of a trajectory that is being predicted
SLIDER_STEPS = 200  # steps of the sliders of distance and of the size of points
FRUSTUM_SHARE = 0.03  # size of the drawn camera, over the median depth; chosen by eye
PATH_COLOR = (240, 120, 40)  # of the trajectory: orange, on the light and the dark page
MEASURED_SHARE = 0.6  # size of measured points over that of predicted ones, which they must not hide; chosen by eye
WORLD, CAMERA = "/world", "/world/camera"  # nodes of the scene: the first camera's axes, and the present one's
NO_TURN = (1.0, 0.0, 0.0, 0.0)  # the quaternion of no rotation


class Viewer:
    """The server of one page. As a context manager, it serves until the block ends.

    Args:
        footage: what is shown.
        host: address to listen at; at one of this machine alone, pages of other hosts are refused.
        port: port to listen at; 0 for any free one.

    Raises InputError if this address cannot be listened at, or if the first frame cannot be read.
    """

    def __init__(self, footage: Footage, host: str = "127.0.0.1", port: int = 8080) -> None:
        check_address(host, port)
        self._footage, self._host = footage, host
        self._changed = threading.Event()
        self._changed.set()
        self._first = footage.shot(footage.first)
        self._poses: list[np.ndarray] = []
        self._to_come = footage.poses()
        self._poses_end, self._drawn_poses, self._told = footage.poses_origin is None, 0, 0.0
        self._mapping: Iterator[FusedMap | None] | None = None
        self._mapped = 0
        with _own_pages_only(host), _quiet():
            self._server = viser.ViserServer(host=host, port=port, label=f"packdepth: {footage.title}", verbose=False)
        self._layout()

    @property
    def url(self) -> str:
        """The address of the page on this machine."""
        host = "127.0.0.1" if self._host in ("", "0.0.0.0") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.get_port()}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return self._host in LOOPBACK

    def __enter__(self) -> Viewer:
        """Begin to serve."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the server."""
        with _quiet():
            self._server.stop()

    # --- the page -----------------------------------------------------------------------------------------------

    def _layout(self) -> None:
        """Make the elements of the page."""
        footage, gui, shot = self._footage, self._server.gui, self._first
        gui.configure_theme(show_logo=False, show_share_button=False, control_width="large", dark_mode=True)
        gui.add_markdown(f"Depth is {footage.scale}.")
        last = len(footage) - 1
        self._time: Any = gui.add_slider("frame", 0, max(last, 1), 1, footage.first, visible=last > 0)
        self._play = gui.add_checkbox("play", False, visible=last > 0)
        self._moment = gui.add_markdown("")
        options: list[Coloring] = list(colorings(shot))
        self._coloring = gui.add_dropdown("color", options, initial_value=options[0])
        self._legend = gui.add_markdown("")
        reach, greatest = start_reach(shot)
        step = rounded_up(greatest / SLIDER_STEPS)
        greatest = step * math.ceil(greatest / step)
        unit = "m" if footage.metric else "no unit"
        self._limits = gui.add_multi_slider(
            f"distance ({unit})", 0.0, greatest, step, (0.0, step * math.ceil(reach / step))
        )
        self._size = gui.add_slider("size of points", 0.2, 4.0, 0.1, 1.0)
        is_judged = shot.predicted is not None and shot.predicted.reliable is not None
        self._all_points = gui.add_checkbox(
            "unreliable points, too", False, visible=is_judged, hint="sky, edges and what is far"
        )
        both = shot.predicted is not None and shot.measured is not None
        hint = None if footage.metric else "scaled by the median of predicted over measured depth of each frame"
        self._measured = gui.add_checkbox("measured depth, green", False, visible=both, hint=hint)
        moves = footage.poses_origin is not None
        self._follow = gui.add_checkbox("ride along with the camera", True, visible=moves)
        self._make_map = gui.add_button("Make the map of the whole clip", visible=self._can_map())
        self._show_map = gui.add_checkbox("map", True, visible=False)
        self._state = gui.add_markdown("")
        self._pictures: dict[str, Any] = {}
        for title, picture in shot.pictures.items():
            self._pictures[title] = gui.add_image(picture, label=title, format="jpeg")
        for element in (self._time, self._coloring, self._limits, self._size, self._all_points, self._measured,
                        self._follow, self._play, self._show_map):  # fmt: skip
            element.on_update(self._ask)
        self._make_map.on_click(self._ask_for_map)
        scene, camera = self._server.scene, self._server.initial_camera
        scene.set_up_direction("-y")
        scene.world_axes.visible = False
        self._world = scene.add_frame(WORLD, show_axes=False)
        self._camera = scene.add_frame(CAMERA, show_axes=False)
        camera.position, camera.look_at = start_view(shot)
        lens = footage.camera
        if lens is not None:
            down = 2 * math.atan(lens.height / 2 / float(lens.fy))
            size = FRUSTUM_SHARE * reach / FAR_SHARE
            scene.add_camera_frustum(f"{CAMERA}/frustum", down, lens.width / lens.height, scale=size, color=PATH_COLOR)

    def _can_map(self) -> bool:
        """Return whether a map can be made of what is shown, which is none yet."""
        if self._footage.is_map:
            return False
        try:
            self._footage.check_map()
        except InputError:
            return False
        return True

    def _ask(self, _: object) -> None:
        """Ask for a new drawing."""
        self._changed.set()

    def _ask_for_map(self, _: object) -> None:
        """Ask for the map."""
        self._make_map.disabled = True
        self._mapping, self._mapped = self._footage.mapping(), 0
        self._changed.set()

    # --- the work -----------------------------------------------------------------------------------------------

    def work(self) -> None:
        """Do the next piece of work: draw what was asked for, predict a motion, or add a frame to the map.

        Returns at once after it, or after `IDLE_SECONDS` if there was nothing to do. A frame or a map that cannot be
        made is said on the page.
        """
        try:
            if self._changed.is_set():
                self._changed.clear()
                self._draw()
                if self._play.value:
                    self._time.value = (int(self._time.value) + 1) % len(self._footage)
            elif not self._poses_end:
                self._next_pose()
            elif self._mapping is not None:
                self._next_of_map(self._mapping)
            else:
                self._changed.wait(IDLE_SECONDS)
        except InputError as error:
            self._state.content = f"**{error}**"
            self._mapping = None

    def _draw(self) -> None:
        """Draw the frame that the slider points at, as the other elements ask for."""
        footage = self._footage
        index = min(int(self._time.value), len(footage) - 1)
        shot = footage.shot(index)
        coloring: Coloring = self._coloring.value if self._coloring.value in colorings(shot) else colorings(shot)[0]
        low, high = self._limits.value
        cloud = cloud_of(shot, coloring, (low, high), footage.colors, self._all_points.value)
        with self._server.atomic():
            self._draw_points(f"{CAMERA}/points", cloud.points, cloud.colors, shot.size * self._size.value)
            self._draw_measured(shot, (low, high))
            self._draw_poses(index)
            self._legend.content = legend(coloring, footage.classes, footage.metric)
            seconds = footage.time(index)
            self._moment.content = shot.name if seconds is None else f"{shot.name}, {seconds:.2f} s"
            for title, element in self._pictures.items():
                if title in shot.pictures:
                    element.image = shot.pictures[title]
                element.visible = title in shot.pictures
            if self._show_map.visible:
                self._map.visible = self._show_map.value
                self._map.point_size = self._map_size * self._size.value

    def _draw_points(self, node: str, points: np.ndarray, colors: np.ndarray, size: float) -> Any:
        """Draw a point cloud in place of the one before."""
        return self._server.scene.add_point_cloud(
            node, points, colors, point_size=size, point_shape="circle", precision="float32", point_shading="flat"
        )

    def _draw_measured(self, shot: Shot, limits: tuple[float, float]) -> None:
        """Draw the measured points in one color beside the predicted ones, if that is asked for."""
        places = np.zeros((0, 3), np.float32)
        if self._measured.value and shot.measured is not None:
            z = shot.measured.places[:, 2]
            places = shot.measured.places[(z >= limits[0]) & (z <= limits[1])]
        colors = np.full((len(places), 3), MEASURED_COLOR, np.uint8)
        self._draw_points(f"{CAMERA}/measured", places, colors, MEASURED_SHARE * shot.size * self._size.value)

    def _draw_poses(self, index: int) -> None:
        """Put the camera to its pose and, if the view rides along with it, the world behind it."""
        pose = self._poses[index] if index < len(self._poses) else np.eye(4)
        self._camera.wxyz, self._camera.position = _turn(pose), pose[:3, 3]
        moved = np.linalg.inv(pose) if self._follow.value else np.eye(4)
        self._world.wxyz, self._world.position = _turn(moved), moved[:3, 3]

    def _next_pose(self) -> None:
        """Predict the next pose, and draw the trajectory from time to time."""
        pose = next(self._to_come, None)
        if pose is not None:
            self._poses.append(pose)
        self._poses_end = pose is None
        now = time.monotonic()
        if not self._poses_end and now - self._told < PATH_SECONDS:
            return
        self._told = now
        if not self._poses_end:
            self._state.content = f"trajectory: {len(self._poses)} of {len(self._footage)} frames"
        else:
            self._state.content = f"trajectory: {self._footage.poses_origin}"
        if len(self._poses) > 1:
            places = np.stack([pose[:3, 3] for pose in self._poses])
            self._server.scene.add_line_segments(
                f"{WORLD}/trajectory",
                np.stack([places[:-1], places[1:]], axis=1).astype(np.float32),
                PATH_COLOR,
                thickness=3.0,
                thickness_units="screen",
            )
        self._changed.set()

    def _next_of_map(self, mapping: Iterator[FusedMap | None]) -> None:
        """Add a frame to the map, and show it when it is finished."""
        fused = next(mapping)
        self._mapped += 1
        if fused is None:
            self._state.content = f"map: {self._mapped} of {len(self._footage)} frames"
            return
        self._mapping = None
        voxel = float(fused.texts.get("voxel", 0)) or self._first.size
        self._map_size = max(voxel, self._first.size)
        self._map = self._draw_points(
            f"{WORLD}/map", fused.cloud.points.astype(np.float32), fused.cloud.colors, self._map_size
        )
        self._state.content = f"map: {fused.words}"
        self._make_map.visible, self._show_map.visible = False, True
        self._changed.set()


def _turn(pose: np.ndarray) -> np.ndarray:
    """Return the rotation of a pose [4, 4] as a quaternion [4] with the real part first."""
    wxyz: np.ndarray = viser.transforms.SO3.from_matrix(pose[:3, :3]).wxyz
    return wxyz


def _quiet() -> contextlib.AbstractContextManager[object]:
    """Keep from the terminal what viser prints of its beginning and its end."""
    return contextlib.redirect_stdout(io.StringIO())


@contextlib.contextmanager
def _own_pages_only(host: str) -> Iterator[None]:
    """Let a server that starts in the block, at an address of this machine, refuse connections from other pages.

    A page of the web that is open in the same browser could read the scene otherwise. viser has no option for it, so
    that the function of websockets that it calls is given the list of origins.
    """
    if host not in LOOPBACK:
        yield
        return
    module: Any = websockets.asyncio.server
    serve = module.serve
    own = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
    module.serve = partial(serve, origins=[own, None])  # None: programs, which state no origin
    try:
        yield
    finally:
        module.serve = serve
