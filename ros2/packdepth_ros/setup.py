"""Installation of the ROS 2 package; `colcon build` runs it."""

from setuptools import setup

NAME = "packdepth_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/depth.launch.py"]),
        (f"share/{NAME}/config", ["config/depth.yaml"]),
    ],
    install_requires=["setuptools"],  # packdepth itself is installed with pip: see README.md
    zip_safe=True,
    maintainer="the packdepth authors",
    maintainer_email="packdepth@example.org",
    description="Metric depth images and point clouds of a camera, predicted by a network of packdepth.",
    license="Apache-2.0",
    entry_points={"console_scripts": [f"depth = {NAME}.node:main"]},
)
