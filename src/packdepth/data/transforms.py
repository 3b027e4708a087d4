"""Augmentation of samples. A random change is drawn once and applied to all frames of a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from packdepth.config import Jitter
from packdepth.data.resized import enlarged_depth, resized_labels
from packdepth.data.teacher_maps import resized_inv_depth
from packdepth.geometry.resize import resize_image
from packdepth.records import Sample

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))  # rows Y, I, Q of RGB (NTSC, FCC 1953)


MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))  # left becomes right


def flipped(sample: Sample) -> Sample:
    """Mirror a sample left to right: images, measured depth and motion, label maps, maps of a teacher and intrinsics.

    After mirroring, the right camera of a stereo pair stands to the left of the target's camera. Its image therefore
    stays in the field `right` and the baseline becomes negative. Context frames, measured depth and ego-motion still
    belong to the target's own camera.

    Args:
        sample: the sample; it is not changed.
    """

    def mirror(image: Tensor) -> Tensor:
        return image.flip(-1)

    def mirrored(image: Tensor | None) -> Tensor | None:
        return None if image is None else mirror(image)

    return replace(
        sample,
        camera=sample.camera.flipped(),
        image=mirror(sample.image),
        context=mirror(sample.context),
        network_image=mirror(sample.network_image),
        network_context=mirror(sample.network_context),
        motion=None if sample.motion is None else MIRROR @ sample.motion @ MIRROR,
        truth=mirrored(sample.truth),
        right=mirrored(sample.right),
        network_right=mirrored(sample.network_right),
        baseline=None if sample.baseline is None else -sample.baseline,
        mirrored=None if sample.mirrored is None else ~sample.mirrored,
        semantic=mirrored(sample.semantic),
        context_semantic=mirrored(sample.context_semantic),
        teacher=mirrored(sample.teacher),
        whole_image=mirrored(sample.whole_image),
        whole_context=mirrored(sample.whole_context),
    )


@dataclass(frozen=True)
class Window:
    """One draw of a window of an image, in pixels.

    >>> Window(top=1, left=0, height=1, width=2).cut(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    tensor([[4, 5]])
    """

    top: int  # row of its first pixel
    left: int  # column of its first pixel
    height: int  # number of its rows
    width: int  # number of its columns

    @classmethod
    def draw(cls, smallest: float, size: tuple[int, int], rng: np.random.Generator) -> Window:
        """Draw the share of height and width that the window covers, uniformly from [smallest, 1], and its place.

        Args:
            smallest: the smallest share.
            size: height and width of the image, in pixels.
            rng: source of random numbers; three are taken.
        """
        share = rng.uniform(smallest, 1)
        height, width = (max(round(share * side), 1) for side in size)
        top, left = rng.integers(0, [size[0] - height + 1, size[1] - width + 1])
        return cls(int(top), int(left), height, width)

    def cut(self, image: Tensor) -> Tensor:
        """Return the window of an image or map, [..., height, width].

        Args:
            image: [..., H, W].
        """
        return image[..., self.top : self.top + self.height, self.left : self.left + self.width]


def zoomed(sample: Sample, window: Window) -> Sample:
    """Return a window of a sample, enlarged to the sample's size: what a camera of longer focal length would see.

    Measured depth, motion, baseline and height stay what they are, in metres. A depth network cannot see the focal
    length, and takes what is enlarged for near: its inverse depth is to be multiplied by `focal_share`, as in the
    canonical camera of Yin et al. (Metric3D, ICCV 2023). Ego-motion is to be predicted from the whole images.

    Args:
        sample: the sample; it is not changed.
        window: a window of its images.
    """
    height, width = size = (sample.image.shape[-2], sample.image.shape[-1])

    def images(x: Tensor) -> Tensor:
        if x.numel() == 0:  # no context frames
            return x
        return resize_image(window.cut(x).reshape(-1, 3, window.height, window.width), *size).view(x.shape)

    def image(x: Tensor | None) -> Tensor | None:
        return None if x is None else images(x)

    def labels(x: Tensor | None) -> Tensor | None:
        return None if x is None else torch.from_numpy(resized_labels(window.cut(x).numpy(), *size))

    truth, teacher = sample.truth, sample.teacher
    if truth is not None:
        place = (window.top / height, window.left / width), (window.height / height, window.width / width)
        truth = torch.from_numpy(enlarged_depth(truth[0].numpy(), *place))[None]
    return replace(
        sample,
        camera=sample.camera.cropped(window.top, window.left, window.height, window.width).resized(height, width),
        image=images(sample.image),
        context=images(sample.context),
        network_image=images(sample.network_image),
        network_context=images(sample.network_context),
        truth=truth,
        right=image(sample.right),
        network_right=image(sample.network_right),
        semantic=labels(sample.semantic),
        context_semantic=labels(sample.context_semantic),
        teacher=None if teacher is None else resized_inv_depth(window.cut(teacher)[0], height, width)[None],
        focal_share=torch.tensor(math.sqrt(window.height * window.width / (height * width))),
        whole_image=sample.network_image,
        whole_context=sample.network_context,
    )


@dataclass(frozen=True)
class ColorJitter:
    """One draw of color jitter. It changes brightness, contrast, saturation and hue, in this order.

    >>> darker = ColorJitter(brightness=0.5, contrast=1.0, saturation=1.0, hue=0.0)
    >>> darker(torch.full((3, 1, 1), 0.8)).flatten()
    tensor([0.4000, 0.4000, 0.4000])
    """

    brightness: float  # factor
    contrast: float  # factor, relative to the mean gray of the image
    saturation: float  # factor, relative to the gray of each pixel
    hue: float  # turns around the color circle

    @classmethod
    def draw(cls, limits: Jitter, rng: np.random.Generator) -> ColorJitter:
        """Draw factors uniformly from [1 - x, 1 + x] and the hue shift from [-x, x].

        Args:
            limits: x of each change.
            rng: source of random numbers; four are taken.
        """
        brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4)
        return cls(
            1 + limits.brightness * brightness,
            1 + limits.contrast * contrast,
            1 + limits.saturation * saturation,
            limits.hue * hue,
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Return the changed images, of the same shape and range.

        Args:
            images: [..., 3, H, W] RGB in [0, 1].
        """
        x = (images * self.brightness).clamp(0, 1)
        mean = gray(x).mean((-3, -2, -1), keepdim=True)
        x = (mean + (x - mean) * self.contrast).clamp(0, 1)
        x = (gray(x) + (x - gray(x)) * self.saturation).clamp(0, 1)
        return rotate_hue(x, self.hue).clamp(0, 1)


def gray(images: Tensor) -> Tensor:
    """Return the luma of images: [..., 1, H, W].

    Args:
        images: [..., 3, H, W] RGB.

    >>> gray(torch.ones(3, 1, 1))
    tensor([[[1.]]])
    """
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(-3, keepdim=True)


def rotate_hue(images: Tensor, turns: float) -> Tensor:
    """Shift the hue of images by rotating their chroma in the YIQ color space. Luma and gray pixels do not change.

    Args:
        images: [..., 3, H, W] RGB.
        turns: angle of the rotation, as a share of a full turn.

    >>> rotate_hue(torch.full((3, 1, 1), 0.5), 0.25).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """
    to_yiq = torch.tensor(YIQ, dtype=torch.float64)
    cosine, sine = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turn = torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], dtype=torch.float64)
    matrix = (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(images)
    return torch.einsum("ij,...jhw->...ihw", matrix, images)
