"""The only secret randomness of the engine: noise on exact integer counts, private choice among exact integer scores.

Only the curator may import this room. It touches nothing but what it is handed, keeps nothing, and cannot be seeded.
``Noise`` is the private seam: tests hand the curator another one; OpenDPNoise is the one of every release.
"""

from dpsynth.noise.opendp import OpenDPNoise
from dpsynth.noise.protocol import Noise

__all__ = ["Noise", "OpenDPNoise"]
