"""Error measures of poses, meshes, keypoints and silhouettes. Points are in metres, errors in millimetres.

Functions such as :func:`mpjpe` return one number for their arguments. For a whole data set, batch by batch and over
many processes, use :class:`RunningMeans`, which also has the means of single joints and of parts::

    running = RunningMeans()
    for batch in loader:
        running.update(pose_errors(predicted, batch.joints, batch.confidence, "h36m17"))
    means = running.compute()
    means["pa_mpjpe"].mean, means["pa_mpjpe"].grouped(joint_parts("h36m17"))
"""

from meshrec.metrics.keypoints import auc2d, head_size, keypoint_errors, pck2d, torso_size
from meshrec.metrics.overlap import Overlap, part_overlap, silhouette_overlap
from meshrec.metrics.parts import SILHOUETTE_PARTS, face_parts, joint_parts, vertex_parts
from meshrec.metrics.penetration import forearms_inside, share_inside, winding_numbers
from meshrec.metrics.points import (
    PointErrors,
    acceleration_error,
    acceleration_errors,
    auc3d,
    mesh_errors,
    mpjpe,
    mpve,
    n_mpjpe,
    pa_mpjpe,
    pa_mpve,
    pck3d,
    point_errors,
    pose_errors,
    pve_t,
)
from meshrec.metrics.running import PointMeans, RunningMeans

__all__ = [
    "SILHOUETTE_PARTS",
    "Overlap",
    "PointErrors",
    "PointMeans",
    "RunningMeans",
    "acceleration_error",
    "acceleration_errors",
    "auc2d",
    "auc3d",
    "face_parts",
    "forearms_inside",
    "head_size",
    "joint_parts",
    "keypoint_errors",
    "mesh_errors",
    "mpjpe",
    "mpve",
    "n_mpjpe",
    "pa_mpjpe",
    "pa_mpve",
    "part_overlap",
    "pck2d",
    "pck3d",
    "point_errors",
    "pose_errors",
    "pve_t",
    "share_inside",
    "silhouette_overlap",
    "torso_size",
    "vertex_parts",
    "winding_numbers",
]
