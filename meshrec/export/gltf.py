"""Assembly of binary glTF 2.0 files, shared by static meshes, scenes and skinned bodies."""

import json
import math
import struct
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pygltflib as gl
import torch

import meshrec
from meshrec.export.mesh import Mesh
from meshrec.geometry import CAMERA_TO_Y_UP, Camera, Placement, matrix_to_quaternion

_COMPONENTS = {"uint8": gl.UNSIGNED_BYTE, "uint16": gl.UNSIGNED_SHORT, "uint32": gl.UNSIGNED_INT, "float32": gl.FLOAT}
_TYPES = {(): gl.SCALAR, (2,): gl.VEC2, (3,): gl.VEC3, (4,): gl.VEC4, (4, 4): gl.MAT4}


class Glb:
    """A glTF asset with one scene and one binary buffer, to which parts are added one by one.

    Attributes:
        gltf: The asset in pygltflib's classes; the indices that the methods return point into its lists.
    """

    def __init__(self) -> None:
        self.gltf = gl.GLTF2(
            asset=gl.Asset(generator=f"meshrec {meshrec.__version__}"), scene=0, scenes=[gl.Scene(nodes=[])]
        )
        self._blob = bytearray()

    def add_array(self, array: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Store an array.

        Args:
            array: (N, ...) of uint8, uint16, uint32 or float32, each row a scalar, a vector or a column-major matrix.
            target: ARRAY_BUFFER for vertex attributes, ELEMENT_ARRAY_BUFFER for indices, else None.
            bounds: Also store the smallest and largest values, which glTF demands for positions and key times.

        Returns:
            Accessor index.
        """
        data = np.ascontiguousarray(array).tobytes()
        view = gl.BufferView(buffer=0, byteOffset=len(self._blob), byteLength=len(data), target=target)
        self._blob += data + bytes(-len(data) % 4)  # views begin at multiples of four
        accessor = gl.Accessor(
            bufferView=len(self.gltf.bufferViews),
            componentType=_COMPONENTS[array.dtype.name],
            count=len(array),
            type=_TYPES[array.shape[1:]],
            min=np.atleast_1d(array.min(0)).tolist() if bounds else None,
            max=np.atleast_1d(array.max(0)).tolist() if bounds else None,
        )
        self.gltf.bufferViews.append(view)
        self.gltf.accessors.append(accessor)
        return len(self.gltf.accessors) - 1

    def add_mesh(self, mesh: Mesh, weights: np.ndarray | None = None, joints: np.ndarray | None = None) -> int:
        """Store a mesh with normals, texture coordinates and a matt material of its colour.

        Args:
            mesh: In y-up space.
            weights, joints: (V, 4) float32 skinning weights and uint8 or uint16 joints of a skinned mesh.

        Returns:
            Mesh index.
        """
        corners = mesh.corners
        attributes = {
            "POSITION": self.add_array(mesh.vertices[corners.vertex], gl.ARRAY_BUFFER, bounds=True),
            "NORMAL": self.add_array(mesh.normals[corners.vertex], gl.ARRAY_BUFFER),
        }
        if mesh.uv is not None:
            attributes["TEXCOORD_0"] = self.add_array(_top_left(mesh.uv[corners.uv]), gl.ARRAY_BUFFER)
        if weights is not None and joints is not None:
            attributes["JOINTS_0"] = self.add_array(joints[corners.vertex], gl.ARRAY_BUFFER)
            attributes["WEIGHTS_0"] = self.add_array(weights[corners.vertex], gl.ARRAY_BUFFER)
        # 65535 itself is reserved for primitive restart.
        index_type = np.uint16 if len(corners.vertex) <= 65535 else np.uint32
        primitive = gl.Primitive(
            attributes=gl.Attributes(**attributes),
            indices=self.add_array(corners.faces.ravel().astype(index_type), gl.ELEMENT_ARRAY_BUFFER),
            material=self._add_material(mesh),
        )
        self.gltf.meshes.append(gl.Mesh(primitives=[primitive], name=mesh.name))
        return len(self.gltf.meshes) - 1

    def add_node(self, node: gl.Node, root: bool = False) -> int:
        """Store a node, and list it in the scene where it is a root.

        Returns:
            Node index.
        """
        self.gltf.nodes.append(node)
        index = len(self.gltf.nodes) - 1
        if root:
            self.gltf.scenes[0].nodes.append(index)
        return index

    def add_object(self, mesh: int, name: str, skin: int | None = None) -> int:
        """Show a stored mesh in the scene, at its vertices' own positions.

        Returns:
            Node index.
        """
        return self.add_node(gl.Node(mesh=mesh, skin=skin, name=name), root=True)

    def add_camera(self, camera: Camera, placement: Placement | None = None, name: str = "photo") -> int:
        """Put the photo's camera to where it sees people as the photo shows them.

        glTF cameras look through the middle of their picture, so a principal point elsewhere is lost.

        Args:
            camera: The camera.
            placement: From its space to that of the scene. Default: to y-up space, with the camera at the origin.
            name: Name of the camera; that of its node ends in " camera".

        Returns:
            Node index.
        """
        width, height = camera.size
        fx, fy = camera.matrix.diagonal()[:2].tolist()
        lens = gl.Perspective(
            yfov=2 * math.atan(height / 2 / fy), aspectRatio=width / fx / (height / fy), znear=0.05, zfar=1000.0
        )
        self.gltf.cameras.append(gl.Camera(perspective=lens, type="perspective", name=name))
        node = gl.Node(camera=len(self.gltf.cameras) - 1, name=f"{name} camera")
        if placement is not None:  # the node's own space is y-up space
            w, *axis = matrix_to_quaternion(torch.from_numpy(placement.rotation).float() @ CAMERA_TO_Y_UP).tolist()
            node.rotation, node.translation = [*axis, w], placement.translation.tolist()
        return self.add_node(node, root=True)

    def add_channel(self, node: int, path: str, times: int, values: np.ndarray, steps: bool = False) -> None:
        """Animate a node. All channels of a file are in one animation, so that everybody moves on one clock.

        Args:
            node: Node index.
            path: What changes: translation, rotation or scale.
            times: Accessor index of (K,) key times, seconds, stored with bounds.
            values: (K, 3), or (K, 4) quaternions as x, y, z, w.
            steps: Whether each value stays until the next key. Default: what lies between is interpolated.
        """
        if not self.gltf.animations:
            self.gltf.animations.append(gl.Animation(name="motion"))
        animation = self.gltf.animations[0]
        sampler = gl.AnimationSampler(input=times, output=self.add_array(values.astype(np.float32)))
        if steps:
            sampler.interpolation = "STEP"
        target = gl.AnimationChannelTarget(node=node, path=path)
        animation.channels.append(gl.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(sampler)

    def to_bytes(self) -> bytes:
        """The finished GLB file.

        The bytes are those of pygltflib's ``save_to_bytes``, which copies the asset three times on the way.
        """
        self.gltf.buffers = [gl.Buffer(byteLength=len(self._blob))]
        text = json.dumps(_filled(self.gltf), separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)  # chunks begin at multiples of four
        length = 12 + 8 + len(text) + 8 + len(self._blob)
        return b"".join(
            [
                struct.pack("<4s2I", b"glTF", 2, length),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", len(self._blob), b"BIN\0"),
                self._blob,
            ]
        )

    def _add_material(self, mesh: Mesh) -> int:
        color = linear_color(mesh.color) if mesh.texture is None else [1.0, 1.0, 1.0]
        surface = gl.PbrMetallicRoughness(baseColorFactor=[*color, 1.0], metallicFactor=0.0, roughnessFactor=0.8)
        if mesh.texture is not None:
            surface.baseColorTexture = gl.TextureInfo(index=self._add_texture(mesh.texture, mesh.name))
        self.gltf.materials.append(gl.Material(name=mesh.name, pbrMetallicRoughness=surface, alphaCutoff=None))
        return len(self.gltf.materials) - 1

    def _add_texture(self, png: bytes, name: str) -> int:
        """Store a picture, and return the index of the texture that shows it."""
        view = gl.BufferView(buffer=0, byteOffset=len(self._blob), byteLength=len(png))
        self._blob += png + bytes(-len(png) % 4)
        self.gltf.bufferViews.append(view)
        self.gltf.images.append(gl.Image(bufferView=len(self.gltf.bufferViews) - 1, mimeType="image/png", name=name))
        if not self.gltf.samplers:
            self.gltf.samplers.append(
                gl.Sampler(
                    magFilter=gl.LINEAR,
                    minFilter=gl.LINEAR_MIPMAP_LINEAR,
                    wrapS=gl.CLAMP_TO_EDGE,
                    wrapT=gl.CLAMP_TO_EDGE,
                )
            )
        self.gltf.textures.append(gl.Texture(sampler=0, source=len(self.gltf.images) - 1))
        return len(self.gltf.textures) - 1


def _filled(part: object) -> Any:
    """A part of an asset as JSON's own types, without the properties that are None or empty."""
    if isinstance(part, list | tuple):
        return [_filled(entry) for entry in part]
    if isinstance(part, dict):
        properties = part
    elif is_dataclass(part) or isinstance(part, gl.Attributes):
        properties = vars(part)
    else:
        return part
    return {
        key: _filled(value)
        for key, value in properties.items()
        if value is not None and not (isinstance(value, str | list | tuple | dict) and not value)
    }


def linear_color(color: tuple[float, float, float]) -> list[float]:
    """Convert an sRGB colour to linear light, in which glTF gives the factors of materials (IEC 61966-2-1)."""
    srgb = np.asarray(color, dtype=np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).round(6).tolist()


def _top_left(uv: np.ndarray) -> np.ndarray:
    """Move the origin of texture coordinates (T, 2) from the picture's bottom left to its top left, as glTF has it."""
    return uv * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)
