"""Predict depth with a network that packdepth exported to ONNX. Needs numpy, Pillow and onnxruntime alone.

python model-predict.py model.onnx image.jpg depth.npy

writes depth [H, W] float32 in the size of the image, and depth.png, the inverse depth in gray.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # otherwise, from 1.31 on, it sends events to Microsoft
import onnxruntime  # reads the line above

NEWEST_LAYOUT = 1  # version of the record that this program knows


def main(model: str, image: str, output: str) -> None:
    """Predict the depth of an image and write it.

    Args:
        model: the network, a file .onnx.
        image: the image.
        output: the file .npy to write.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    record = json.loads(session.get_modelmeta().custom_metadata_map["packdepth"])
    if record["layout"] > NEWEST_LAYOUT or record["part"] != "depth" or record["label_classes"]:
        sys.exit(f"{model}: this example is for depth networks of images alone")
    height, width = record["image_size"]
    stored = Image.open(image)
    if stored.mode[0] in "IF":  # Pillow would cut its values to white
        sys.exit(f"{image}: has pixels of more than 8 bits ({stored.mode}); convert it to 8 bits a channel")
    picture = ImageOps.exif_transpose(stored).convert("RGB")
    pixels = np.asarray(picture, dtype=np.float32) / 255
    channels = [Image.fromarray(np.ascontiguousarray(pixels[..., i])) for i in range(3)]
    resized = np.stack([np.asarray(c.resize((width, height), Image.Resampling.BILINEAR)) for c in channels])
    if record["input"] == "uint8":
        resized = np.rint(resized.clip(0, 1) * 255).astype(np.uint8)
    batch = np.repeat(resized[None].clip(0, 255), record["batch"] or 1, axis=0)
    (inv_depth,) = session.run(["inv_depth"], {"image": batch})
    # Inverse depth is what is resized: over a plane it is linear, and depth is not.
    full = np.asarray(Image.fromarray(inv_depth[0, 0]).resize(picture.size, Image.Resampling.BILINEAR))
    np.save(output, 1 / full)
    gray = (full - full.min()) / (full.max() - full.min() + 1e-12) * 255
    Image.fromarray(gray.astype(np.uint8)).save(Path(output).with_suffix(".png"))
    center = 1 / full[full.shape[0] // 2, full.shape[1] // 2]
    sizes = {(c["width"], c["height"]) for name in ("trained_cameras", "cameras") for c in record["meta"][name]}
    scale, unit = record["scale"], " metres" if record["metric"] else ""
    if unit and sizes and picture.size not in sizes:
        scale, unit = "not metric: no camera of the training has images of this size", ""
    print(f"depth of the center: {center:.4g}{unit}; depth is {scale}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or not sys.argv[3].endswith(".npy") or not all(map(os.path.isfile, sys.argv[1:3])):
        sys.exit(f"usage: python {Path(sys.argv[0]).name} MODEL.onnx IMAGE DEPTH.npy; the first two are files")
    main(*sys.argv[1:])
