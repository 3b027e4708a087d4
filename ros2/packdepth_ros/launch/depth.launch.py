"""Start the node for one camera: `ros2 launch packdepth_ros depth.launch.py model:=/path/to/best`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = {  # default (None: must be given) and description, by name
    "model": (None, "checkpoint, or file that packdepth export wrote"),
    "namespace": ("/camera", "namespace of the camera: depth is published on NAMESPACE/depth/..."),
    "image": ("image_raw", "topic of the images, relative to the namespace or absolute"),
    "camera_info": ("camera_info", "topic of their calibration, likewise"),
    "params_file": (None, "other parameters; if left out, config/depth.yaml of this package"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the node, and the arguments of the launch."""
    share = Path(get_package_share_directory("packdepth_ros"))
    defaults = {name: default for name, (default, _) in ARGUMENTS.items()}
    defaults["params_file"] = str(share / "config" / "depth.yaml")
    declared = [
        DeclareLaunchArgument(name, default_value=defaults[name], description=description)
        for name, (_, description) in ARGUMENTS.items()
    ]
    value = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    node = Node(
        package="packdepth_ros",
        executable="depth",
        name="packdepth",
        namespace=value["namespace"],
        parameters=[value["params_file"], {"model": value["model"]}],
        remappings=[
            ("image_raw", value["image"]),
            ("image_raw/compressed", [value["image"], "/compressed"]),
            ("camera_info", value["camera_info"]),
        ],
        output="screen",
    )
    return LaunchDescription([*declared, node])
