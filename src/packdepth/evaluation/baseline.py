"""What a constant of the camera's place scores: a depth for each pixel that never looks at the image.

A network that does not beat it has not been shown to see. All functions take the truth of N images as one tensor with
NaN where it does not count, and take lower medians, as all of the evaluation does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

VALUES = 2**22  # read in one step; bounds the memory of `others_median`


def pixel_median(truth: Tensor) -> Tensor:
    """Each pixel's median [H, W] over the images of truth [N, H, W], metres; NaN where no image has a value."""
    return truth.nanmedian(dim=0).values


def others_median(truth: Tensor, index: int) -> Tensor:
    """For one image of sparse truth: the median of the other images' values at and around each pixel.

    Where scans are sparse, most pixels have a value in one image alone, and a median over all images would repeat the
    very value it is judged by. So the image itself is left out, and the window around a pixel grows (the pixel alone,
    then a radius of 1, 2, 4, 8, ... pixels) until the other images have a value in it.

    Args:
        truth: [N, H, W], metres, NaN where it does not count.
        index: of the image.

    Returns:
        [H, W] metres, NaN where the image has no truth to judge by, and everywhere if no other image has any.
    """
    others = torch.cat([truth[:index], truth[index + 1 :]])
    y, x = (~truth[index].isnan()).nonzero(as_tuple=True)
    values = torch.full(y.shape, torch.nan, dtype=truth.dtype)
    for radius in [0, *(2**i for i in range(max(truth.shape[-2:]).bit_length() + 1))]:
        missing = values.isnan().nonzero()[:, 0]
        if not len(missing):
            break
        side = 2 * radius + 1
        windows = F.pad(others, [radius] * 4, value=torch.nan).unfold(1, side, 1).unfold(2, side, 1)
        for part in torch.split(missing, max(1, VALUES // (len(truth) * side**2))):
            values[part] = windows[:, y[part], x[part]].transpose(0, 1).flatten(1).nanmedian(dim=1).values
    result = torch.full_like(truth[index], torch.nan)
    result[y, x] = values
    return result
