"""Finding people in a photo: detectors by name, and detections made by other tools."""

from meshrec.detect.library import load_detector
from meshrec.detect.people import CloseUp, Detection, Detector, Mask

__all__ = ["CloseUp", "Detection", "Detector", "Mask", "load_detector"]
