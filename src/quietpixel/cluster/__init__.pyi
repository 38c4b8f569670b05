from .arrays import denoise as denoise
from .workers import Cluster as Cluster
from .workers import connect as connect
