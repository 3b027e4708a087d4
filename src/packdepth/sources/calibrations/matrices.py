"""Calibrations of a camera matrix and distortion coefficients: OpenCV's FileStorage, and both YAML files of ROS.

* OpenCV: camera_matrix and distortion_coefficients, as YAML (`!!opencv-matrix`) or XML;
* camera_calibration: the same with image_width, image_height and distortion_model, as ROS's calibrator writes it;
* CameraInfo: K, D, width, height and distortion_model, as `rostopic echo` prints the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from packdepth.errors import InputError
from packdepth.geometry.lens import Lens
from packdepth.sources.calibrations.record import Calibration, calibration, named_lens, numbers, pixels

# Names of the fields, without underscores and in lower case
MATRIX = ("cameramatrix", "k", "intrinsicmatrix")
COEFFICIENTS = ("distortioncoefficients", "distortioncoeffs", "distcoeffs", "distcoefs", "d")
MODEL = ("distortionmodel", "lensmodel")
WIDTH, HEIGHT, SIZE = ("imagewidth", "width"), ("imageheight", "height"), ("imagesize",)


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields by their names without underscores, in lower case."""
    return {str(key).replace("_", "").lower(): value for key, value in values.items()}


def holds_matrix(values: Mapping[Any, Any]) -> bool:
    """Return whether the fields of a file hold a camera matrix.

    Args:
        values: the fields.

    >>> holds_matrix({"camera_matrix": {"data": []}}), holds_matrix({"fx": 1})
    (True, False)
    """
    return any(name in MATRIX for name in _plain(values))


def read_matrices(where: str, values: Mapping[Any, Any]) -> Calibration:
    """Return the calibration of a camera matrix and distortion coefficients.

    For ROS this is the raw image: K and D, not the rectified image's R and P.

    Args:
        where: file, for the message.
        values: the fields, as YAML or `xml_fields` give them.

    Raises InputError for fields that are missing or wrong, and for a lens that cannot be represented.

    >>> fields = {"K": [500, 0, 320, 0, 500, 240, 0, 0, 1], "D": [], "width": 640, "height": 480}
    >>> read_matrices("camera_info.yaml", fields).fx
    500.0
    """
    fields = _plain(values)
    K = numbers(_data(_first(fields, MATRIX)), f"{where}: camera matrix", 9)
    if any(K[i] for i in (1, 3, 6, 7)) or K[8] != 1:
        raise InputError(f"{where}: camera matrix: is no fx 0 cx 0 fy cy 0 0 1 ({K}); packdepth takes no skew")
    _check_whole(where, fields)
    lens = _lens(where, fields)
    return calibration(where, _size(where, fields), (K[0], K[4], K[2], K[5]), lens)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the first of some fields that is there; None if none is."""
    return next((fields[name] for name in names if name in fields), None)


def _data(value: Any) -> Any:
    """Return the numbers of a matrix: those of its field `data`, those of its rows, or its own."""
    if isinstance(value, Mapping):
        return value.get("data")
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return [item for row in value for item in row]
    return value


def _lens(where: str, fields: Mapping[str, Any]) -> Lens | None:
    """Return the lens."""
    found, model = _data(_first(fields, COEFFICIENTS)), _first(fields, MODEL)
    if found is None:
        raise InputError(
            f"{where}: holds a camera matrix, but no distortion_coefficients; add them, zeros if there is no distortion"
        )
    if model is None and fields.get("fisheyemodel") in (1, "1", True):  # of OpenCV's calibration sample
        model = "fisheye"
    return named_lens(where, None if model is None else str(model), numbers(found, f"{where}: distortion coefficients"))


def _size(where: str, fields: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of the images, in pixels."""
    width, height, size = (_first(fields, names) for names in (WIDTH, HEIGHT, SIZE))
    if isinstance(size, list) and len(size) == 2:
        width, height = size
    if width is None or height is None:
        raise InputError(f"{where}: does not say for which images it is; add image_width and image_height, in pixels")
    return pixels(width, f"{where}: image_width"), pixels(height, f"{where}: image_height")


def _check_whole(where: str, fields: Mapping[str, Any]) -> None:
    """Raise InputError for a CameraInfo of a part of the sensor, or of binned pixels: K is for the whole image."""
    roi = fields.get("roi")
    parts = [roi.get(name) for name in ("x_offset", "y_offset", "width", "height")] if isinstance(roi, Mapping) else []
    bins = [fields.get(name) for name in ("binningx", "binningy")]
    if any(parts) or any(value not in (None, 0, 1) for value in bins):
        raise InputError(
            f"{where}: is for a region of the image or for binned pixels (roi, binning); give width, height, fx, fy, "
            f"cx, cy of the images as they are, in a camera.yaml"
        )


def xml_fields(where: str, text: str) -> dict[str, Any]:
    """Return the fields of OpenCV's FileStorage in XML, in the form that YAML gives.

    Args:
        where: file, for the message. Raises InputError if it is no valid XML.
        text: the content.

    >>> xml_fields("a.xml", "<opencv_storage><image_width>640</image_width></opencv_storage>")
    {'image_width': '640'}
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{where}: is no valid XML ({error}); write the calibration again") from None
    fields: dict[str, Any] = {}
    for element in root:
        data = element.find("data")
        words = ((element if data is None else data).text or "").split()
        fields[element.tag] = {"data": words} if data is not None else words[0] if len(words) == 1 else words
    return fields
