"""Several people in one file, as they stand in the photo."""

import os
from collections.abc import Sequence
from pathlib import Path

from meshrec.export.gltf import Glb
from meshrec.export.mesh import Mesh
from meshrec.files.atomic import known_suffix, write_file
from meshrec.geometry import Camera


def write_scene(path: str | os.PathLike, meshes: Sequence[Mesh], camera: Camera | None = None) -> Path:
    """Write meshes that share one space into one GLB, each an object with its own name and colour.

    Args:
        path: Where to write, ending in .glb.
        meshes: In y-up space (see :func:`meshrec.geometry.camera_to_y_up`), at least one.
        camera: The photo's camera, to look through in a 3D program.

    Raises:
        InputError: Wrong suffix, or the file cannot be written.
        ValueError: There are no meshes.
    """
    known_suffix(path, (".glb",))
    if not meshes:
        raise ValueError("a scene needs at least one mesh")
    glb = Glb()
    for mesh in meshes:
        glb.add_object(glb.add_mesh(mesh), mesh.name)
    if camera is not None:
        glb.add_camera(camera)
    return write_file(path, glb.to_bytes())
