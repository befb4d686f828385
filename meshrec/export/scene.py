"""Writing several people to one file, at the positions where they stand in the photo."""

import os
from collections.abc import Sequence
from pathlib import Path

from meshrec.export.gltf import Glb
from meshrec.export.mesh import Mesh
from meshrec.export.skinned import SkinnedMesh, add_skinned
from meshrec.files.atomic import known_suffix, write_file
from meshrec.geometry import Camera, Placement


def write_scene(
    path: str | os.PathLike,
    meshes: Sequence[Mesh | SkinnedMesh],
    camera: Camera | None = None,
    placement: Placement | None = None,
    cameras: Sequence[tuple[str, Camera, Placement]] = (),
) -> Path:
    """Write meshes that share one space into one GLB, each an object with its own name and colour.

    What skeletons cannot reproduce is noted in the file, as :func:`meshrec.export.write_skinned` does.

    Args:
        path: The file, ending in .glb.
        meshes: At least one mesh in y-up space (see :func:`meshrec.geometry.camera_to_y_up`), or body with a skeleton,
            whose pose and translation bring it there (see :func:`meshrec.export.pose_to_y_up`).
        camera: The photo's camera, to look through in a 3D program.
        placement: From camera space to the space of the meshes. Default: to y-up space.
        cameras: Names of more cameras, the cameras, and for each the placement from its space to that of the meshes.

    Returns:
        The path.

    Raises:
        InputError: The suffix is another one, or the file cannot be written.
        ValueError: There are no meshes, or arrays of a body with a skeleton disagree.

    Example:
        >>> import tempfile
        >>> from meshrec.export import Mesh, write_scene
        >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_scene(f"{folder}/scene.glb", [triangle]).read_bytes()[:4]
        b'glTF'
    """
    known_suffix(path, (".glb",))
    if not meshes:
        raise ValueError("a scene needs at least one mesh")
    glb, notes = Glb(), []
    for mesh in meshes:
        if isinstance(mesh, SkinnedMesh):
            notes += [f"{mesh.rest.name}: {note}" for note in add_skinned(glb, mesh)]
        else:
            glb.add_object(glb.add_mesh(mesh), mesh.name)
    glb.gltf.asset.extras = {"notes": notes} if notes else {}
    if camera is not None:
        glb.add_camera(camera, placement)
    for name, other, place in cameras:
        glb.add_camera(other, place, name)
    return write_file(path, glb.to_bytes())
