"""Motion capture: readers of BVH and Acclaim files, removal of recording errors, retargeting to SMPL's skeleton."""
