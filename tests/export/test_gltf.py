"""Tests of the assembly of GLB files."""

import numpy as np
import pygltflib as gl

from meshrec.export import Mesh
from meshrec.export.gltf import Glb
from meshrec.geometry import Camera


def test_bytes_are_those_of_pygltflib():
    glb = Glb()
    triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], [[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "bodÿ")
    node = glb.add_object(glb.add_mesh(triangle, np.zeros((3, 4), np.float32), np.zeros((3, 4), np.uint8)), "one")
    glb.add_mesh(Mesh(triangle.vertices, triangle.faces, triangle.uv, triangle.uv_faces, texture=b"not read"))
    glb.add_camera(Camera(500.0, size=(640, 480)))
    times = glb.add_array(np.array([0.0, 0.5], np.float32), bounds=True)
    glb.add_channel(node, "translation", times, np.zeros((2, 3)), steps=True)
    glb.gltf.skins.append(gl.Skin(joints=[0], inverseBindMatrices=0))
    glb.gltf.asset.extras = {"notes": ["one", ""], "empty": {}}
    ours = glb.to_bytes()
    glb.gltf.set_binary_blob(bytes(glb._blob))
    assert ours == b"".join(glb.gltf.save_to_bytes())
