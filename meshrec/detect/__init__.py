"""Finding people in a photo: reading photos, the default detector, and detections from other tools."""

from meshrec.detect.people import Detection, Detector, Mask
from meshrec.detect.photos import Photo, read_photo

__all__ = ["Detection", "Detector", "Mask", "Photo", "read_photo"]
