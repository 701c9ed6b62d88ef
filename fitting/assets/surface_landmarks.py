"""stub"""
from dataclasses import dataclass
import numpy as np
from ..morphable_model import SurfacePoints
@dataclass
class SurfaceSets:
    landmarks: dict
    jaw_candidates: SurfacePoints
    curves: dict
def surface_sets(mean, expression, triangles, parts, masks, part_names):
    z=SurfacePoints(np.zeros((68,3),np.int32),np.full((68,3),1/3,np.float32))
    return SurfaceSets({"anatomical":z},SurfacePoints(np.zeros((17,5,3),np.int32),np.full((17,5,3),1/3,np.float32)),{})
