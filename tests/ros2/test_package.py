"""The files of the package: manifest, installation, node and launch, with stand-ins for ROS 2."""

from __future__ import annotations

import configparser
import runpy
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from packdepth_ros.logic import Settings

PACKAGE = Path(__file__).parents[2] / "ros2" / "packdepth_ros"
NAME = "packdepth_ros"


def modules(monkeypatch: pytest.MonkeyPatch, **names: dict[str, Any]) -> None:
    """Put stand-ins of modules in place; __ in a name stands for a dot."""
    for name, values in names.items():
        module = ModuleType(name.replace("__", "."))
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_the_manifest_and_the_installation_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    modules(monkeypatch, setuptools={"setup": lambda **values: given.update(values)})
    monkeypatch.chdir(PACKAGE)
    runpy.run_path("setup.py")
    manifest = ElementTree.parse("package.xml").getroot()
    read = {name: manifest.findtext(name) for name in ("name", "version", "description", "license")}
    assert read == {name: given[name] for name in read}
    assert manifest.findtext("export/build_type") == "ament_python"
    files = {file: place for place, listed in given["data_files"] for file in listed}
    assert all(Path(file).is_file() for file in files)
    assert files[f"resource/{NAME}"] == "share/ament_index/resource_index/packages"  # where ament looks
    assert {str(file) for folder in ("launch", "config") for file in Path(folder).iterdir()} < set(files)
    scripts = configparser.ConfigParser()
    scripts.read("setup.cfg")
    assert scripts["install"]["install_scripts"] == scripts["develop"]["script_dir"] == f"$base/lib/{NAME}"


def test_the_file_of_parameters_and_the_readme_know_them_all() -> None:
    (content,) = yaml.safe_load((PACKAGE / "config" / "depth.yaml").read_text()).values()
    defaults = vars(Settings())
    for name, value in content["ros__parameters"].items():
        assert type(value) is type(defaults[name])
    readme = (PACKAGE / "README.md").read_text()
    assert [name for name in defaults if f"| `{name}` |" not in readme] == []


def test_every_package_that_is_imported_is_in_the_manifest() -> None:
    manifest = ElementTree.parse(PACKAGE / "package.xml").getroot()
    depends = {each.text for each in manifest.findall("exec_depend")}
    assert {"rclpy", "rcl_interfaces", "sensor_msgs", "std_msgs", "builtin_interfaces"} <= depends
    assert {"launch", "launch_ros", "ament_index_python"} <= depends


def test_the_launch_file_starts_the_node_with_its_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}
    modules(
        monkeypatch,
        launch={"LaunchDescription": lambda entities: entities},
        launch__actions={
            "DeclareLaunchArgument": lambda name, default_value, description: made.update({name: default_value})
        },
        launch__substitutions={"LaunchConfiguration": lambda name: f"${name}"},
        launch_ros={},
        launch_ros__actions={"Node": SimpleNamespace},
        ament_index_python={},
        ament_index_python__packages={"get_package_share_directory": lambda name: f"/share/{name}"},
    )
    entities = runpy.run_path(str(PACKAGE / "launch" / "depth.launch.py"))["generate_launch_description"]()
    node = entities[-1]
    assert made == {
        "model": None,
        "namespace": "/camera",
        "image": "image_raw",
        "camera_info": "camera_info",
        "params_file": f"/share/{NAME}/config/depth.yaml",
    }
    assert (node.package, node.executable, node.namespace) == (NAME, "depth", "$namespace")
    assert node.parameters == ["$params_file", {"model": "$model"}]
    assert ("image_raw", "$image") in node.remappings


class FakeNode:
    """A node that keeps what it is asked for."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters, self.declared = parameters, dict[str, Any]()
        self.publishers, self.subscriptions = dict[str, list[Any]](), dict[str, Any]()
        self.logged: list[str] = []
        self.time = 0  # nanoseconds

    def declare_parameter(self, name: str, default: Any, descriptor: Any) -> Any:
        self.declared[name] = descriptor.description
        return SimpleNamespace(value=self.parameters.get(name, default))

    def create_publisher(self, kind: Any, topic: str, quality: Any) -> Any:
        self.publishers[topic] = []
        return SimpleNamespace(publish=self.publishers[topic].append)

    def create_subscription(self, kind: Any, topic: str, callback: Any, quality: Any) -> None:
        self.subscriptions[topic] = (callback, quality)

    def resolve_topic_name(self, topic: str) -> str:
        return f"/camera/{topic}"

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.time))

    def get_logger(self) -> Any:
        log = self.logged.append
        return SimpleNamespace(info=log, warning=log, fatal=log)

    def destroy_node(self) -> None:
        self.logged.append("destroyed")


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Stand-ins for rclpy and messages; "parameters" are those of the node, which is "node"."""
    state: dict[str, Any] = {"parameters": {}, "spin": lambda node: None}

    def create_node(name: str) -> FakeNode:
        state["node"] = FakeNode(state["parameters"])
        return state["node"]

    class Shutdown(Exception):
        """What rclpy raises when it is shut down from outside."""

    def named(**values: Any) -> Any:
        return SimpleNamespace(**values)

    messages = dict.fromkeys(
        ("Image", "CameraInfo", "PointCloud2", "CompressedImage", "PointField", "RegionOfInterest"), SimpleNamespace
    )
    modules(
        monkeypatch,
        rclpy={
            "init": lambda args: None,
            "create_node": create_node,
            "spin": lambda node: state["spin"](node),
            "try_shutdown": lambda: None,
        },
        rclpy__executors={"ExternalShutdownException": Shutdown},
        rclpy__qos={"QoSProfile": named, "ReliabilityPolicy": SimpleNamespace(BEST_EFFORT=2, RELIABLE=1)},
        rcl_interfaces={},
        rcl_interfaces__msg={"ParameterDescriptor": named},
        sensor_msgs={},
        sensor_msgs__msg=messages,
        std_msgs={},
        std_msgs__msg={"Header": SimpleNamespace},
        builtin_interfaces={},
        builtin_interfaces__msg={"Time": SimpleNamespace},
    )
    monkeypatch.delitem(sys.modules, f"{NAME}.node", raising=False)
    yield state
    sys.modules.pop(f"{NAME}.node", None)


def test_the_node_publishes_what_its_logic_makes(
    ros: dict[str, Any], ramp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_logic = runpy.run_path(str(Path(__file__).with_name("test_logic.py")))
    monkeypatch.setattr("packdepth_ros.logic.load", lambda *args, **kwargs: ramp())
    ros["parameters"] = {"model": "best", "all_points": True, "rate": 10.0}

    def spin(node: FakeNode) -> None:
        node.subscriptions["camera_info"][0](test_logic["info"]())
        for node.time in (0, 10**9, 10**9 + 1):  # nanoseconds; the images have one stamp
            node.subscriptions["image_raw"][0](test_logic["image"]())
        raise KeyboardInterrupt

    ros["spin"] = spin
    assert import_module(f"{NAME}.node").main() == 0
    node = ros["node"]
    assert {topic: len(sent) for topic, sent in node.publishers.items()} == {
        "depth/image_raw": 2,
        "depth/camera_info": 2,
        "depth/points": 2,
    }
    assert node.subscriptions["image_raw"][1].depth == 1  # the newest image alone
    assert set(node.declared) == set(vars(Settings()))
    assert "predicts /camera/image_raw; depth is metric" in node.logged[0]
    assert node.logged[-1] == "destroyed"


def test_the_node_ends_with_one_sentence_for_parameters_that_cannot_be_used(ros: dict[str, Any]) -> None:
    assert import_module(f"{NAME}.node").main() == 2
    assert ros["node"].logged == [
        "model: is empty; give a checkpoint, such as model:=/home/me/runs/mine/best",
        "destroyed",
    ]


def test_compressed_images_have_a_topic_of_their_own(
    ros: dict[str, Any], ramp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packdepth_ros.logic.load", lambda *args, **kwargs: ramp())
    ros["parameters"] = {"model": "best", "compressed": True}
    assert import_module(f"{NAME}.node").main() == 0
    assert set(ros["node"].subscriptions) == {"camera_info", "image_raw/compressed"}
