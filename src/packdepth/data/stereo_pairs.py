"""Agreement of the two images of a stereo pair: copies, images of other moments, and images that are not rectified."""

from __future__ import annotations

import numpy as np

from packdepth.data.disagreement import Disagreement, evenly_spread
from packdepth.data.optical_flow import Flow, optical_flow, small_gray
from packdepth.data.targets import gaps
from packdepth.geometry.robust import robust_deviation
from packdepth.records import Clip

CHECKED = 8  # pairs that are looked at, evenly spread
MIN_POINTS = 15  # points that both images show
MIN_PAIRS = 3  # pairs: the median of fewer says nothing
SAME = 0.02  # pixels of the small images: disparities of a copy
MIN_MOVED = 0.5  # pixels that a point moves down or up from a frame to the next, beyond the median: with less, the
# moment of the other image is not known
MIN_CLEAR = 8  # points that move so
MAX_LATE = 0.4  # frames between the two images of a pair (measured: 0.1)
MAX_ROWS = 0.75  # pixels of the small images between the rows of a point (measured: 0.1; half a pixel is noise)


def stereo_fault(clip: Clip) -> Disagreement | None:
    """Return why the right images of a clip cannot be those of its left images; None if nothing speaks against it.

    In rectified images of one moment, each point lies in one row.

    Args:
        clip: the clip. Raises InputError for an image that cannot be read.
    """
    places = [index for index, frame in enumerate(clip.frames) if frame.right is not None]
    joined = ~gaps(clip)
    across, middles, spreads, shares = [], [], [], []
    for index in evenly_spread(places, CHECKED):
        frame = clip.frames[index]
        assert frame.right is not None
        left = small_gray(frame.image.read())
        flow = optical_flow(left, small_gray(frame.right.read()))
        if flow.found.sum() < MIN_POINTS:
            continue
        u, v = flow.vectors[flow.found].T
        across.append(float(np.median(np.abs(u))))
        middles.append(float(np.median(v)))
        spreads.append(robust_deviation(v - np.median(v)))
        if not clip.independent and index < len(joined) and joined[index]:
            later = optical_flow(left, small_gray(clip.frames[index + 1].image.read()))
            shares += _moved_share(flow, later)
    if len(across) < MIN_PAIRS:
        return None
    if np.median(across) < SAME and np.median(np.abs(middles)) < SAME:
        return Disagreement(
            "stereo",
            "its right images are copies of the left ones: no point is shifted between them",
            "Give the images of the other camera, or leave right/ out.",
        )
    late = float(np.median(shares)) if len(shares) >= MIN_PAIRS else 0.0
    if abs(late) > MAX_LATE:
        return Disagreement(
            "stereo",
            f"its right images show points where they are {abs(late):.1f} frames {'later' if late > 0 else 'earlier'}",
            "Give both images of a pair from one moment: a camera may have dropped a frame.",
        )
    rows, spread = abs(float(np.median(middles))), float(np.median(spreads))
    if max(rows, spread) < MAX_ROWS:
        return None
    what = f"lie {rows:.1f} rows apart" if rows > spread else f"lie in rows that differ by {spread:.1f} px"
    return Disagreement(
        "stereo",
        f"points of its left and right images {what} (in images at most 320 px wide)",
        "Rectify the images: a point must lie in one row of both.",
    )


def _moved_share(stereo: Flow, later: Flow) -> list[float]:
    """Return by how many frames the other image of a pair is later, by the rows of points; none if they hardly move."""
    both = stereo.found & later.found
    moved, shifted = later.vectors[both, 1].astype(np.float64), stereo.vectors[both, 1].astype(np.float64)
    if len(moved) < MIN_POINTS:
        return []
    moved, shifted = moved - np.median(moved), shifted - np.median(shifted)  # a constant is an error of rectification
    clear = np.abs(moved) > MIN_MOVED
    return [float(np.median(shifted[clear] / moved[clear]))] if clear.sum() >= MIN_CLEAR else []
