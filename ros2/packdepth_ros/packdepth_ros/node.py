"""The node: parameters, subscriptions and publishers. What it does with images is in `logic`."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from packdepth.errors import InputError
from packdepth.inference.ros.messages import CLOUD_TOPIC, DEPTH_TOPIC, INFO_TOPIC, DepthMessages
from packdepth.sources.ros_messages import COMPRESSED, COMPRESSED_SUFFIX, IMAGE
from packdepth_ros.logic import DepthLogic, Settings, load_model, make_message, settings_of

IMAGE_IN, INFO_IN = "image_raw", "camera_info"  # topics, relative to the namespace of the node
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)  # images that wait are replaced by newer ones
RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)  # RViz asks for it; others take it, too


def start(node: Any) -> None:
    """Declare the parameters of a node, load its model, subscribe to images and advertise depth.

    Args:
        node: the node.

    Raises InputError for parameters that cannot be used.
    """
    values = {}
    for each in fields(Settings):
        descriptor = ParameterDescriptor(description=each.metadata["description"], read_only=True, dynamic_typing=True)
        values[each.name] = node.declare_parameter(each.name, each.default, descriptor).value
    settings = settings_of(values)
    predictor = load_model(settings)
    publishers = [
        node.create_publisher(Image, DEPTH_TOPIC, RELIABLE),
        node.create_publisher(CameraInfo, INFO_TOPIC, RELIABLE),
        node.create_publisher(PointCloud2, CLOUD_TOPIC, RELIABLE),
    ]

    def publish(messages: DepthMessages) -> None:
        for publisher, message in zip(publishers, messages, strict=True):
            publisher.publish(message)

    topic, kind, made = IMAGE_IN, IMAGE, Image
    if settings.compressed:
        topic, kind, made = f"{IMAGE_IN}{COMPRESSED_SUFFIX}", COMPRESSED, CompressedImage
    full_name = node.resolve_topic_name(topic)
    clock = node.get_clock()
    logic = DepthLogic(
        predictor,
        settings,
        full_name,
        make_message,
        publish,
        node.get_logger().warning,
        lambda: clock.now().nanoseconds,
    )
    node.create_subscription(CameraInfo, INFO_IN, logic.on_info, NEWEST)
    node.create_subscription(made, topic, lambda message: logic.on_image(message, kind), NEWEST)
    node.get_logger().info(f"{predictor!r} predicts {full_name}; depth is {predictor.meta.scale}")


def main(args: list[str] | None = None) -> int:
    """Run the node until it is stopped, and return the exit status: 2 for parameters that cannot be used.

    Args:
        args: the arguments; None for those of the process.
    """
    rclpy.init(args=args)
    node = rclpy.create_node("packdepth")
    try:
        start(node)
        rclpy.spin(node)
    except InputError as error:
        node.get_logger().fatal(str(error))
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
