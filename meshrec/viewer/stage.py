"""The 3D scene of a result in viser: people, skeletons, cameras and what they saw, at one frame at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from meshrec.errors import InputError
from meshrec.geometry import matrix_to_quaternion
from meshrec.reconstruct.ground import upright
from meshrec.viewer.drawing import (
    bone_segments,
    field_of_view,
    frustum_segments,
    picture_corners,
    picture_distance,
    vertex_colors,
)
from meshrec.viewer.pictures import MovingPicture, StillPicture
from meshrec.viewer.shown import Posed, Shown

if TYPE_CHECKING:
    from viser import ClientHandle, ViserServer

DARK = (70, 70, 70)
AROUND = 0.6  # metres to the picture of each of several cameras, which would hide the people if it stood behind them
SEEN_THROUGH = 0.5  # opacity of meshes around skeletons
FLOOR = 12.0  # metres that the grid under the people is wide
MARGIN = 0.3  # metres around what views from the side and from above show
OPENING = 0.9  # radians, the height of their field of view
SIDE, ABOVE = "from the side", "from above"


@dataclass(frozen=True)
class Look:
    """What is shown.

    Attributes:
        people: Whether each person is.
        meshes, skeletons, cameras, pictures, floor: Whether these are.
        by_confidence: Whether meshes have the colours of the confidence instead of those of the people.
        through: Number of the camera that somebody looks through, whose picture stands behind the people.
    """

    people: tuple[bool, ...]
    meshes: bool = True
    skeletons: bool = False
    cameras: bool = True
    pictures: bool = True
    floor: bool = True
    by_confidence: bool = False
    through: int | None = None


class Stage:
    """Draws a result into the scene of a server.

    Args:
        server: The server, whose scene is emptied.
        shown: The result.
        clip: The clip of the result, if the user names it; else its overlay is shown.

    Raises:
        InputError: The clip cannot be read.
    """

    def __init__(self, server: ViserServer, shown: Shown, clip: Path | None = None) -> None:
        self._server, self.shown = server, shown
        self._nodes: dict[str, Any] = {}
        self._pictures = _pictures(shown, clip)
        server.scene.reset()
        up = shown.up
        server.scene.set_up_direction((float(up[0]), float(up[1]), float(up[2])))
        self._lowest, self._middle, self._spread = self._extent()

    def draw(self, index: int, look: Look) -> list[Posed | None]:
        """Show a frame.

        Args:
            index: Of the frame among those of the result.
            look: What is shown.

        Returns:
            Everybody at that frame; None for those who are not there, or not shown.
        """
        known = len(self.shown.frames) > 0
        frame, time = (int(self.shown.frames[index]), float(self.shown.times[index])) if known else (0, 0.0)
        with self._server.atomic():
            self._draw_floor(look.floor)
            found = [self.shown.posed(i, frame) if look.people[i] else None for i in range(len(self.shown.people))]
            for number, posed in enumerate(found):
                self._draw_mesh(number, posed if look.meshes else None, look)
                self._draw_skeleton(number, posed if look.skeletons else None)
            for number in range(len(self.shown.cameras)):
                self._draw_camera(number, frame, time, look)
        return found

    def views(self) -> list[str]:
        """Names of the directions to look from; those through cameras come first."""
        return [f"through {camera.name}" for camera in self.shown.cameras] + [SIDE, ABOVE]

    def look_from(self, client: ClientHandle, number: int, index: int) -> None:
        """Move a browser's camera.

        Args:
            client: The browser.
            number: Of the direction in :meth:`views`.
            index: Of the frame among those of the result.
        """
        frame = int(self.shown.frames[index]) if len(self.shown.frames) else 0
        if number < len(self.shown.cameras):
            camera, rotation, place = self.shown.cameras[number].at(frame)
            target = place + rotation[:, 2] * self._distance(number, frame, True)
            above, fov = -rotation[:, 1], field_of_view(camera)
        else:
            axes = upright(-self.shown.up)  # its rows are right, up and back of a level camera
            outwards = axes[0] if number == len(self.shown.cameras) else self.shown.up
            target, fov = self._middle, OPENING
            place = target + (self._spread + MARGIN) / np.sin(OPENING / 2) * outwards
            above = self.shown.up if number == len(self.shown.cameras) else -axes[2]
        with client.atomic():
            client.camera.up_direction = tuple(above.tolist())
            client.camera.position = tuple(place.tolist())
            client.camera.look_at = tuple(target.tolist())
            client.camera.fov = fov

    def _distance(self, number: int, frame: int, through: bool) -> float:
        """Metres from a camera to its picture. That of a single camera always stands behind the people."""
        if len(self.shown.cameras) > 1 and not through:
            return AROUND
        return picture_distance(self.shown, number, frame)

    def _extent(self) -> tuple[float, np.ndarray, float]:
        """Where everybody is in their first frames, and where several cameras are: height of the lowest vertex along
        the up axis, the middle (3,) of pelvises and cameras, and the distance of the farthest point from it."""
        found = [self.shown.posed(i, int(p.track.frames[0])) for i, p in enumerate(self.shown.people)]
        posed = [person for person in found if person is not None]
        if not posed:
            return 0.0, np.zeros(3), 1.0
        lowest = min(float((person.vertices @ self.shown.up).min()) for person in posed)
        places = [person.joints[0] for person in posed]
        if len(self.shown.cameras) > 1:
            places += [camera.at(0)[2] for camera in self.shown.cameras]
        middle = (np.min(places, axis=0) + np.max(places, axis=0)).astype(np.float64) / 2
        points = np.concatenate([np.array(places), *(person.vertices for person in posed)])
        return lowest, middle, float(np.linalg.norm(points - middle, axis=1).max())

    def _remove(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is not None:
            node.remove()

    def _draw_floor(self, visible: bool) -> None:
        if not visible or not self.shown.people:
            self._remove("/floor")
        elif "/floor" not in self._nodes:
            up = self.shown.up
            place = self._middle + (self._lowest - self._middle @ up) * up
            turn = upright(-up).T  # the grid's y axis is up
            self._nodes["/floor"] = self._server.scene.add_grid(
                "/floor", FLOOR, FLOOR, plane="xz", wxyz=_quaternion(turn), position=place
            )

    def _draw_mesh(self, number: int, posed: Posed | None, look: Look) -> None:
        plain, coloured = f"/people/{number}/mesh", f"/people/{number}/confidence"
        if posed is None or look.by_confidence:
            self._remove(plain)
        if posed is None or not look.by_confidence:
            self._remove(coloured)
        if posed is None:
            return
        person, scene = self.shown.people[number], self._server.scene
        if look.by_confidence:
            import trimesh

            colors = vertex_colors(posed, person.weights)
            mesh = trimesh.Trimesh(posed.vertices, person.faces, vertex_colors=colors, process=False)
            normals = np.array(mesh.vertex_normals)  # only what is given is sent; without it the skin looks faceted
            mesh = trimesh.Trimesh(posed.vertices, person.faces, None, normals, vertex_colors=colors, process=False)
            self._nodes[coloured] = scene.add_mesh_trimesh(coloured, mesh)
            return
        opacity = SEEN_THROUGH if look.skeletons else None
        if plain in self._nodes:
            self._nodes[plain].vertices, self._nodes[plain].opacity = posed.vertices, opacity
        else:
            self._nodes[plain] = scene.add_mesh_simple(
                plain, posed.vertices, person.faces, color=person.color, opacity=opacity
            )

    def _draw_skeleton(self, number: int, posed: Posed | None) -> None:
        name = f"/people/{number}/skeleton"
        if posed is None:
            self._remove(name)
            return
        points, colors = bone_segments(posed, self.shown.people[number].bones)
        self._nodes[name] = self._server.scene.add_line_segments(name, points, colors, thickness=0.02)

    def _draw_camera(self, number: int, frame: int, time: float, look: Look) -> None:
        lines, picture = f"/cameras/{number}/lines", f"/cameras/{number}/picture"
        camera, rotation, place = self.shown.cameras[number].at(frame)
        distance = self._distance(number, frame, look.through == number)
        if look.cameras:
            points = frustum_segments(camera, rotation, place, distance)
            self._nodes[lines] = self._server.scene.add_line_segments(
                lines, points, DARK, thickness=1.5, thickness_units="screen"
            )
        else:
            self._remove(lines)
        source = self._pictures[number]
        image = source.at(frame, time) if look.pictures and source is not None else None
        if image is None:
            self._remove(picture)
            return
        corners = picture_corners(camera, distance)
        width, height = corners[2, :2] - corners[0, :2]
        self._nodes[picture] = self._server.scene.add_image(
            picture,
            image,
            float(width),
            float(height),
            format="jpeg",
            jpeg_quality=85,
            wxyz=_quaternion(rotation),
            position=corners.mean(0) @ rotation.T + place,
            cast_shadow=False,
            receive_shadow=False,
        )


def _pictures(shown: Shown, clip: Path | None) -> Sequence[StillPicture | MovingPicture | None]:
    if clip is not None:
        if shown.folder.kind != "clip":
            raise InputError(f"{shown.folder.path} holds no results of a clip; leave --clip out.")
        return [MovingPicture(clip, camera.camera.size, overlay=False) for camera in shown.cameras]
    found: list[StillPicture | MovingPicture | None] = []
    for camera in shown.cameras:
        path = None if camera.overlay is None else shown.folder.path / camera.overlay
        if path is None:
            found.append(None)
        elif path.suffix == ".png":
            found.append(StillPicture(path, camera.camera.size))
        else:
            found.append(_overlay_video(path, camera.camera.size, camera.begin))
    return found


def _overlay_video(path: Path, size: tuple[int, int], start: float) -> MovingPicture | None:
    try:
        return MovingPicture(path, size, start=start)
    except InputError:  # people can be shown without what a damaged file had
        return None


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """(4,) w, x, y, z of a rotation (3, 3)."""
    return matrix_to_quaternion(torch.from_numpy(np.array(rotation, np.float64))).numpy()
