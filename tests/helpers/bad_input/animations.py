"""Broken motions of other programs."""

import pickle
from collections.abc import Iterable
from functools import partial

import numpy as np

from helpers.bad_input import files as make
from helpers.bad_input.case import Case, Content

POSES, PLACES = np.zeros((2, 156)), np.zeros((2, 3))


def animations() -> Iterable[Case]:
    def npz(name: str, sentence: str, words: str = "--up=y", **changes: np.ndarray) -> Case:
        content = {"m.npz": partial(make.walk, **changes)}
        return Case(f"animate-{name}", f"animate m.npz -o out.glb {words}", sentence, content)

    def pkl(name: str, content: Content, sentence: str) -> Case:
        return Case(f"animate-pkl-{name}", "animate m.pkl -o out.glb --fps 30", sentence, {"m.pkl": content})

    yield Case("animate-missing", "animate m.npz -o out.glb", r"m\.npz: not a readable \.npz .*No such file")
    yield Case("animate-missing-pkl", "animate m.pkl -o out.glb", r"cannot read m\.pkl: No such file")
    yield Case("animate-missing-bvh", "animate m.bvh -o out.glb", r"cannot read the BVH file m\.bvh: No such file")
    yield Case("animate-folder", "animate a -o out.glb", r"a: no person_0\.json in it or below it", {"a/": b""})
    yield Case("animate-suffix", "animate m.fbx -o out.glb", r"the name of a motion must end in \.npz", {"m.fbx": b""})
    yield Case("animate-without-out", "animate m.npz", "required: -o/--out", {"m.npz": b""}, 2)
    yield Case("animate-axis", "animate m.npz -o out.glb", "which axis points up: give --up=y", {"m.npz": make.walk})
    yield Case("animate-format", "animate m.npz -o out.fbx", r"must end in \.glb or \.bvh", {"m.npz": make.walk})
    yield npz("fps-0", "--fps must be above 0 and at most 1000, not 0", "--fps 0")
    yield npz("fps-nan", "--fps must be above 0", "--fps nan")
    yield npz("up", "--up must be one of y, z, -y, not 'up'", "--up up")
    yield npz("names", "--names must be one of smpl, mixamo, not 'x'", "--names x")
    yield npz("person", "there is no person 4; there are m", "--person 4")
    yield npz("body", "there is no body 'nobody'", "--up=y --body nobody")
    yield npz("no-frames", "it has no frames", poses=POSES[:0], trans=PLACES[:0])
    yield npz("nan", "poses holds values that are not finite", poses=POSES * np.nan)
    yield npz("places", r"translation must have shape \(2, 3\), not \(1, 3\)", trans=PLACES[:1])
    yield npz("joints", "its poses have 69 numbers, but those of bodies have 72, 156, 165", poses=POSES[:, :69])
    yield npz("text", "poses holds something that is not a number", poses=np.array([["a"]]))
    yield npz("objects", "poses holds something that is not a number", poses=np.array([None]))
    yield npz("betas", r"betas must have shape \(n\)", betas=np.zeros((2, 2, 2)))
    yield npz("rate", "its frame rate is -1", mocap_framerate=np.array(-1.0))
    yield pkl("hostile", pickle.dumps({0: {"pose": make.Hostile()}}), "refused, because it asks to run")
    yield pkl("asking", make.asking_for("os.system"), "refused, because it asks to run 'os.system'")
    yield pkl("empty", b"", "not a readable pickle")
    yield pkl("cut", pickle.dumps({0: {"pose": POSES}})[:60], "not a readable pickle")
    yield pkl("list", pickle.dumps([1]), "holds a list, not a dictionary of arrays")
    yield pkl("other", pickle.dumps({"a": 1}), "laid out neither as VIBE's, WHAM's nor 4D-Humans' results")
    yield pkl("gzip", b"\x1f\x8b" + bytes(20), "not a readable compressed pickle")
