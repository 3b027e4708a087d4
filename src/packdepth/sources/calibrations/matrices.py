"""Calibrations of a camera matrix and distortion coefficients: OpenCV's FileStorage, and both YAML files of ROS.

* OpenCV: camera_matrix and distortion_coefficients, as YAML (`!!opencv-matrix`) or XML;
* camera_calibration: the same with image_width, image_height and distortion_model, as ROS's calibrator writes it;
* CameraInfo: K, D, width, height, distortion_model, roi and binning, as `rostopic echo` prints the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.etree import ElementTree

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.lens import Lens
from packdepth.sources.calibrations.record import Calibration, calibration, named_lens, numbers, pixels

# Names of the fields, without underscores and in lower case
MATRIX = ("cameramatrix", "k", "intrinsicmatrix")
COEFFICIENTS = ("distortioncoefficients", "distortioncoeffs", "distcoeffs", "distcoefs", "d")
MODEL = ("distortionmodel", "lensmodel")
WIDTH, HEIGHT, SIZE = ("imagewidth", "width"), ("imageheight", "height"), ("imagesize",)
ROI = ("x_offset", "y_offset", "width", "height")


class SensorPart(NamedTuple):
    """The part of a sensor that images show, as roi and binning of a CameraInfo state it.

    >>> full = Camera(fx=276.0, fy=276.0, cx=340.5, cy=118.5, width=704, height=188)
    >>> SensorPart(100, 20, 352, 94, 2, 2).camera(full)
    Camera(fx=138.0, fy=138.0, cx=120.0, cy=49.0, width=176, height=47)
    >>> SensorPart(0, 0, 0, 0, 0, 0).camera(full)  # the whole sensor
    Camera(fx=276.0, fy=276.0, cx=340.5, cy=118.5, width=704, height=188)
    """

    left: int  # column of the first pixel, in pixels of the full image, as the next three
    top: int  # row of the first pixel
    width: int  # 0: up to the width of the full image
    height: int  # 0: up to the height of the full image
    binning_x: int  # columns that are one column of the images; 0 is 1
    binning_y: int  # rows that are one row of the images; 0 is 1

    @property
    def in_words(self) -> str:
        """The part in a few words.

        >>> SensorPart(100, 50, 352, 94, 0, 0).in_words
        'roi 352x94 at 100, 50; binning 0x0'
        """
        return f"roi {self.width}x{self.height} at {self.left}, {self.top}; binning {self.binning_x}x{self.binning_y}"

    def camera(self, full: Camera) -> Camera:
        """Return the camera of the images.

        Binned pixels are the means of windows, so that their centers follow the half-pixel rule.

        Args:
            full: the camera of the full image, which width, height, K and P of a CameraInfo are for.

        Raises ValueError if the part is not inside the full image: then it is not known what K is for.
        """
        width, height = self.width or full.width, self.height or full.height
        columns, rows = max(self.binning_x, 1), max(self.binning_y, 1)
        inside = self.left + width <= full.width and self.top + height <= full.height
        if not inside or columns > width or rows > height:
            raise ValueError(
                f"its part of the sensor ({self.in_words}) is not inside its {full.width}x{full.height} pixels, which "
                f"must be the full sensor's, as K must; set roi and binning to 0 if they are those of the images"
            )
        binned_width, binned_height = width // columns, height // rows
        part = full.cropped(self.top, self.left, binned_height * rows, binned_width * columns)
        return part if columns == rows == 1 else part.resized(binned_height, binned_width)


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

    For ROS this is the raw image: K and D, not the rectified image's R and P. If a CameraInfo is for a part of the
    sensor or for binned pixels, the calibration is that of the images.

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
    full = calibration(where, _size(where, fields), (K[0], K[4], K[2], K[5]), _lens(where, fields))
    part = _part(where, fields)
    try:
        camera = part.camera(Camera(full.fx, full.fy, full.cx, full.cy, full.width, full.height))
    except ValueError as error:
        raise InputError(f"{where}: {error}, or write a camera.yaml of the images") from None
    return Calibration(camera.width, camera.height, *camera.numbers, full.lens)


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


def _part(where: str, fields: Mapping[str, Any]) -> SensorPart:
    """Return the part of the sensor that a CameraInfo states; the whole sensor for other files."""
    roi = fields.get("roi")
    sides = [roi.get(name) for name in ROI] if isinstance(roi, Mapping) else [0] * len(ROI)
    values = [value or 0 for value in (*sides, fields.get("binningx"), fields.get("binningy"))]
    found = numbers(values, f"{where}: roi and binning")
    if any(value < 0 or value % 1 for value in found):
        raise InputError(f"{where}: roi and binning: must be whole numbers of pixels, at least 0 (found {values})")
    return SensorPart(*map(int, found))


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
