"""Writing one static mesh to one file: OBJ, PLY or GLB."""

import io
import os
from pathlib import Path

import numpy as np

from meshrec.export.mesh import Mesh
from meshrec.export.scene import write_scene
from meshrec.export.uv_template import uv_template_png
from meshrec.files.atomic import known_suffix, write_file

MESH_SUFFIXES = (".obj", ".ply", ".glb")


def write_mesh(path: str | os.PathLike, mesh: Mesh, *, material: bool = False) -> Path:
    """Write a mesh; the suffix chooses the format. Float32 coordinates are kept exactly.

    - ``.obj``: positions, texture coordinates, normals. With ``material``, also ``<stem>.mtl`` and, where the mesh has
      texture coordinates, their layout to paint on, ``<stem>_uv.png``. A mesh with a texture gets ``<stem>.mtl`` and
      ``<stem>_texture.png``.
    - ``.ply``: binary; positions, normals and the colour, without texture coordinates.
    - ``.glb``: binary glTF 2.0 with all of these; vertices on texture seams are repeated, as glTF needs.

    Args:
        path: The file; its suffix is one of :data:`MESH_SUFFIXES`.
        mesh: The mesh, in y-up space (see :func:`meshrec.geometry.camera_to_y_up`).
        material: Write material and texture layout beside an OBJ.

    Returns:
        The path.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from meshrec.export import Mesh, write_mesh
        >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_mesh(f"{folder}/triangle.obj", triangle).read_text().splitlines()[-1]
        'f 1//1 2//2 3//3'
    """
    path = Path(path)
    suffix = known_suffix(path, MESH_SUFFIXES)
    if suffix == ".ply":
        return write_file(path, _ply(mesh))
    if suffix == ".glb":
        return write_scene(path, [mesh])
    if material or mesh.texture is not None:  # before the OBJ that names them
        texture = None
        if mesh.texture is not None:
            texture = write_file(texture_file(path), mesh.texture)
        elif mesh.uv is not None and mesh.uv_faces is not None:
            texture = write_file(path.with_name(f"{path.stem}_uv.png"), uv_template_png(mesh.uv, mesh.uv_faces))
        write_file(path.with_suffix(".mtl"), _mtl(mesh, texture))
        return write_file(path, _obj(mesh, path.with_suffix(".mtl").name))
    return write_file(path, _obj(mesh, None))


def texture_file(path: Path) -> Path:
    """The file of a mesh's texture beside an OBJ.

    Example:
        >>> from pathlib import Path
        >>> from meshrec.export.meshes import texture_file
        >>> texture_file(Path("person_0.obj")).name
        'person_0_texture.png'
    """
    return path.with_name(f"{path.stem}_texture.png")


def _obj(mesh: Mesh, material_file: str | None) -> bytes:
    """The mesh as Wavefront OBJ text.

    trimesh's writer would repeat the vertices on texture seams. An OBJ face names vertex and texture coordinate
    separately, so here the mesh keeps its vertices and their order.
    """
    from meshrec.export.text_lines import decimal_lines, float_lines

    name = "_".join(mesh.name.split()) or "body"
    material = [f"mtllib {material_file}\n"] if material_file else []
    parts = ["".join(["# meshrec: metres, y up\n", *material, f"o {name}\n"]).encode()]
    parts.append(float_lines(b"v", mesh.vertices))
    if mesh.uv is not None:
        parts.append(float_lines(b"vt", mesh.uv))
    parts.append(decimal_lines(b"vn", mesh.normals, places=5))
    if material_file:
        parts.append(b"usemtl body\n")
    parts.append(mesh.corners.face_lines)
    return b"".join(parts)


def _mtl(mesh: Mesh, texture: Path | None) -> bytes:
    red, green, blue = (1, 1, 1) if texture else mesh.color
    lines = ["newmtl body", f"Kd {red:.4g} {green:.4g} {blue:.4g}", "Ks 0 0 0", "illum 1"]
    if texture:
        lines.append(f"map_Kd {texture.name}")
    return ("\n".join(lines) + "\n").encode()


def _ply(mesh: Mesh) -> bytes:
    import trimesh

    colors = np.tile(np.rint(np.multiply(mesh.color, 255)).astype(np.uint8), (len(mesh.vertices), 1))
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, vertex_colors=colors, process=False)
    file = io.BytesIO()
    solid.export(file, file_type="ply", vertex_normal=True)
    return file.getvalue()
