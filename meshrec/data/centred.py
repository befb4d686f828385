"""Training batches in the view of cameras that look at the crops' centres; :mod:`meshrec.geometry.crops` says why."""

from dataclasses import replace
from typing import overload

import torch
from torch import Tensor

from meshrec.data.proxies import Proxies
from meshrec.data.sample import Batch
from meshrec.geometry.crops import centre_maps, centre_points, centred_focal, look_at


@overload
def centred(batch: Batch, seen: Proxies) -> tuple[Batch, Proxies]: ...


@overload
def centred(batch: Batch, seen: None = None) -> tuple[Batch, None]: ...


def centred(batch: Batch, seen: Proxies | None = None) -> tuple[Batch, Proxies | None]:
    """Turn the cameras of crops towards the crops' centres.

    Root rotations and 3D joints turn with the camera, 2D keypoints move by the homography of that turn, and pictures
    and masks are warped where there are any. Afterwards the focal lengths along x and y are equal and principal points
    are zero. Samples whose camera is unknown keep their labels.

    Args:
        batch: Labels and pictures.
        seen: Detections of the same people.

    Returns:
        The batch and the detections in the centred cameras.
    """
    known = batch.camera_confidence[:, None] > 0
    focal = torch.where(known, batch.focal, batch.focal.prod(1, keepdim=True).sqrt())
    principal = torch.where(known, batch.principal, 0)
    turn = look_at(focal, principal)

    def moved(keypoints: Tensor) -> Tensor:
        places, _ = centre_points(keypoints[..., :2], focal, principal)
        return torch.cat([places, keypoints[..., 2:]], dim=-1)

    # Pictures of cameras that are centred already stay as they are; unknown cameras are taken to be centred.
    turned = torch.nonzero((principal != 0).any(1) | (focal[:, 0] != focal[:, 1]))[:, 0]

    def warped(maps: Tensor) -> Tensor:
        if not maps.numel() or not len(turned):
            return maps
        seen_anew = centre_maps(maps[turned].float(), focal[turned], principal[turned])
        seen_anew = seen_anew.round().to(maps.dtype) if maps.dtype == torch.uint8 else seen_anew
        return seen_anew if len(turned) == len(maps) else maps.index_copy(0, turned, seen_anew)

    points = batch.joints_3d
    batch = replace(
        batch,
        image=warped(batch.image),
        mask=warped(batch.mask[:, None])[:, 0] if bool(batch.mask_confidence.any()) else batch.mask,
        keypoints_2d=moved(batch.keypoints_2d),
        joints_3d=torch.cat([points[..., :3] @ turn.mT, points[..., 3:]], dim=-1),
        pose=torch.cat([turn[:, None] @ batch.pose[:, :1], batch.pose[:, 1:]], dim=1),
        focal=centred_focal(focal, principal)[:, None].expand(-1, 2),
        principal=torch.zeros_like(principal),
    )
    if seen is not None:
        same = seen.exact_silhouette is seen.silhouette
        silhouette = warped(seen.silhouette)
        exact = silhouette if same else warped(seen.exact_silhouette)
        seen = replace(seen, keypoints=moved(seen.keypoints), silhouette=silhouette, exact_silhouette=exact)
    return batch, seen
