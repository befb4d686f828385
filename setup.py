"""Metadata is in pyproject.toml; here what it cannot say: three folders are installed inside the package."""

from setuptools import find_packages, setup

DATA_FOLDERS = {
    "meshrec.blender": "tools/blender",
    "meshrec.body_models": "body_models",
    "meshrec.configs": "configs",
}

setup(
    packages=[*find_packages(include=["meshrec", "meshrec.*"]), *DATA_FOLDERS],
    package_dir=DATA_FOLDERS,
)
