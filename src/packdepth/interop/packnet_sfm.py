"""Checkpoints of packnet-sfm (TRI-ML, 2020 and 2021), older ones (`.pth.tar`), and those of its successor vidar.

They are dicts with a `state_dict` of both networks and, mostly, the configuration of the training.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from packdepth.errors import InputError
from packdepth.interop import monodepth2
from packdepth.interop.found import Found, Part, state_dict
from packdepth.interop.layouts import CLASSIFIER, RESNETS, Extra, Layout
from packdepth.interop.pickles import read_pickle
from packdepth.interop.pose import PacknetSfmPoseNetBlock, PacknetSfmPoseResNetBlock
from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.packnet import MIN_DEPTH, PackNetBlock


def depth_resnet_name(ours: str) -> str:
    """Return packnet-sfm's name of a tensor of DepthResNet.

    Args:
        ours: our name of the tensor.
    """
    return _nested(monodepth2.depth_name(ours))


def pose_resnet_name(ours: str) -> str:
    """Return packnet-sfm's name of a tensor of PoseResNet.

    Args:
        ours: our name of the tensor.
    """
    return _nested(monodepth2.pose_name(ours))


def san_name(ours: str) -> str:
    """Return the name of a tensor of PackNet in PackNetSAN01.

    Args:
        ours: our name of the tensor.

    >>> san_name("pack1.conv3d.weight")
    'encoder.pack1.conv3d.weight'
    """
    return f"{'encoder' if re.match('pre_calc|conv|pack', ours) else 'decoder'}.{ours}"


def _nested(name: str) -> str:
    """Return the name of a tensor of monodepth2 inside a module that holds encoder and decoder."""
    return f"{'encoder' if name.startswith('encoder.') else 'decoder'}.{name}"


SPARSE_BRANCH = Extra(r"mconvs\..*|weight|bias", "the branch for LiDAR input, so that depth is that of images alone")
DEPTH_LAYOUTS = [
    Layout("PackNet01 1A", PackNetBlock(kind="packnet", preset="1A")),
    Layout("PackNet01 1B", PackNetBlock(kind="packnet", preset="1B")),
    Layout("PackNetSlim01 1A", PackNetBlock(kind="packnet", preset="slim-1A")),
    Layout("PackNetSAN01 1A", PackNetBlock(kind="packnet", preset="slim-1A"), san_name, SPARSE_BRANCH),
    *[
        Layout(f"DepthResNet {n}", DepthResNetBlock(kind="depth_resnet", layers=n), depth_resnet_name, CLASSIFIER)
        for n in RESNETS
    ],
]
POSE_LAYOUTS = [
    Layout("PoseNet", PacknetSfmPoseNetBlock(kind="packnet_sfm_posenet")),
    *[
        Layout(
            f"PoseResNet {n}",
            PacknetSfmPoseResNetBlock(kind="packnet_sfm_pose_resnet", layers=n),
            pose_resnet_name,
            CLASSIFIER,
        )
        for n in RESNETS
    ],
]
NETWORKS = {  # the network that tensors with this prefix belong to
    "depth_net": "depth",
    "disp_network": "depth",
    "networks.depth": "depth",
    "pose_net": "pose",
    "pose_network": "pose",
    "networks.pose": "pose",
}
SCALES = {  # whether the model of this name predicts depth in metres, and where the scale comes from
    "SelfSupModel": (False, "none"),
    "VelSupModel": (True, "velocity"),
    "SemiSupModel": (True, "lidar"),
    "SemiSupCompletionModel": (True, "lidar"),
}
UNKNOWN_SCALE = (False, "unknown, as the file does not say")


def read(path: Path) -> Found:
    """Return the content of a checkpoint.

    Args:
        path: the file.

    Raises InputError if it holds no depth network, or names functions that are not allowed (see `read_pickle`).
    """
    content = read_pickle(path)
    config = content.get("config") if isinstance(content, dict) else None
    tensors, others = state_dict(content.get("state_dict", content) if isinstance(content, dict) else None, path)
    networks = {"depth": Part({}, DEPTH_LAYOUTS), "pose": Part({}, POSE_LAYOUTS)}
    unknown = list(others)
    for name, tensor in tensors.items():
        network, inner = network_name(name)
        if network is None or inner in networks[network].tensors:
            unknown.append(name)
        else:
            networks[network].tensors[inner] = tensor
    if not networks["depth"].tensors:
        raise InputError(
            f"{path}: holds no depth network (none of its tensors begins with {', '.join(NETWORKS)}); give a "
            f"checkpoint of packnet-sfm or vidar, or the folder that holds encoder.pth and depth.pth of monodepth2"
        )
    min_depth = setting(config, "arch.networks.depth.min_depth")
    if min_depth not in (None, MIN_DEPTH):
        raise InputError(
            f"{path}: its depth network begins at min_depth {min_depth} m, but packdepth's PackNet at {MIN_DEPTH} m; "
            f"there is no way to use it"
        )
    model = setting(config, "model.name")
    metric, scale_source = SCALES.get(model, UNKNOWN_SCALE) if isinstance(model, str) else UNKNOWN_SCALE
    return Found(
        project="vidar" if any("networks.depth." in name for name in tensors) else "packnet-sfm",
        networks={network: part for network, part in networks.items() if part.tensors},
        others=unknown,
        image_size=image_size(config),
        metric=metric,
        scale_source=scale_source,
    )


def network_name(name: str) -> tuple[str | None, str]:
    """Return the network that a tensor belongs to, `depth`, `pose` or None for neither, and its name inside of it.

    Layouts differ in wrappers (`model.`, `model.model.`, DDP's `module.`), in the names of the networks, and in
    `conv3.0` of residual convolutions with dropout, which is `conv3` without.

    Args:
        name: the name in the file.

    >>> network_name("model.depth_net.conv2.conv3.0.bias")
    ('depth', 'conv2.conv3.bias')
    """
    bare = re.sub(r"(^|\.)(module\.)+", r"\1", name)
    match = re.fullmatch(rf"(?:model\.)*({'|'.join(map(re.escape, NETWORKS))})\.(.+)", bare)
    if not match:
        return None, name
    return NETWORKS[match[1]], re.sub(r"\.conv3\.0\.(weight|bias)$", r".conv3.\1", match[2])


def image_size(config: object) -> tuple[int, int] | None:
    """Return height and width of the networks' input in training; None if the configuration does not say.

    Args:
        config: the configuration.

    >>> image_size({"datasets": {"augmentation": {"image_shape": [192, 640]}}})
    (192, 640)
    """
    for key in ("datasets.augmentation.image_shape", "datasets.train.augmentation.resize"):
        match setting(config, key):
            case [int(height), int(width)]:
                return height, width
    match setting(config, "datasets.augmentation.crop_train_borders"):
        # Offset from top or bottom, height, offset from left or right, width. A height of 0 means: all rows from the
        # offset to the border that it counts from.
        case [int(top), int(height), _, int(width)] if width > 0 and (height > 0 or top < 0 == height):
            return height or -top, width
    return None


def setting(config: object, key: str) -> Any:
    """Return the value at a dotted key of nested dicts; None if there is none.

    Args:
        config: the nested dicts.
        key: the names of the way to the value, joined by dots.

    >>> setting({"model": {"name": "SelfSupModel"}}, "model.name")
    'SelfSupModel'
    """
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
