"""Motion capture: BVH and Acclaim files, mending of recording errors, retargeting to SMPL's skeleton."""
