"""Files of camera calibrations: one reader a format, all giving the same plain values in the file's own unit.

:func:`meshrec.geometry.calibration_files.read_calibration` makes cameras of them, and checks what all formats share.
"""

from meshrec.files.calibrations.entries import CalibrationFile, CameraEntry
from meshrec.files.calibrations.recognition import read_calibration_file

__all__ = ["CalibrationFile", "CameraEntry", "read_calibration_file"]
