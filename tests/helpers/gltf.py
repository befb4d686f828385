"""A reader of GLB files that poses skins by the formulas of the glTF specification."""

from pathlib import Path

import numpy as np
import pygltflib as gl
from scipy.spatial.transform import Rotation


class Gltf:
    """A GLB evaluated by the glTF 2.0 specification's formulas (sections 3.7.3 and 3.11) in numpy."""

    def __init__(self, path: Path) -> None:
        self.file = gl.GLTF2().load_binary(str(path))

    def array(self, accessor: int) -> np.ndarray:
        entry = self.file.accessors[accessor]
        view = self.file.bufferViews[entry.bufferView]
        dtype = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[entry.componentType]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry.type]
        flat = np.frombuffer(self.file.binary_blob(), dtype, entry.count * width, view.byteOffset)
        return flat.reshape(entry.count, width)

    def attribute(self, name: str, mesh: int = 0) -> np.ndarray:
        return self.array(getattr(self.file.meshes[mesh].primitives[0].attributes, name))

    def faces(self, mesh: int = 0) -> np.ndarray:
        return self.array(self.file.meshes[mesh].primitives[0].indices).reshape(-1, 3)

    def posed(self, time: float | None = None, mesh: int = 0) -> np.ndarray:
        nodes = self.file.nodes
        local = {
            i: {"translation": node.translation or [0, 0, 0], "rotation": node.rotation or [0, 0, 0, 1], "scale": 1}
            for i, node in enumerate(nodes)
        }
        if time is not None:
            animation = self.file.animations[0]
            for channel in animation.channels:
                sampler = animation.samplers[channel.sampler]
                after = self.array(sampler.input)[:, 0] - time
                steps = sampler.interpolation == "STEP"
                key = max(0, int((after <= 0).sum()) - 1) if steps else int(np.argmin(np.abs(after)))
                local[channel.target.node][channel.target.path] = self.array(sampler.output)[key]
        world = {}

        def visit(index: int, parent: np.ndarray) -> None:
            matrix = np.eye(4)
            matrix[:3, 3] = local[index]["translation"]
            matrix[:3, :3] = Rotation.from_quat(local[index]["rotation"]).as_matrix() * local[index]["scale"]
            world[index] = parent @ matrix
            for child in nodes[index].children or []:
                visit(child, world[index])

        for root in self.file.scenes[0].nodes:
            visit(root, np.eye(4))
        self.world = world
        (skin,) = (self.file.skins[node.skin] for node in nodes if node.mesh == mesh)
        inverse = self.array(skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
        joint_matrices = np.stack([world[j] for j in skin.joints]) @ inverse
        points = np.pad(self.attribute("POSITION", mesh), ((0, 0), (0, 1)), constant_values=1)
        weights, joints = self.attribute("WEIGHTS_0", mesh), self.attribute("JOINTS_0", mesh)
        blended = (weights[..., None, None] * joint_matrices[joints]).sum(1)
        return (blended @ points[..., None])[:, :3, 0]
