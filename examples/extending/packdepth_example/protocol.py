"""How depth is evaluated on recordings."""

from packdepth.evaluation import Protocol

RECORDING_DEPTH = Protocol(
    name="recording-depth",
    about="a recording, against the depth maps that it names",
    source={"kind": "recording", "root": "."},
    marker="recording.json",
    cap=60.0,  # metres
    ranges=(0, 10, 20, 40, 60),  # metres
)
