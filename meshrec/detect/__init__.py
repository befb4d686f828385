"""Finding people in a photo: the default detector, and detections from other tools."""

from meshrec.detect.people import Detection, Detector, Mask

__all__ = ["Detection", "Detector", "Mask"]
