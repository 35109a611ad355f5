"""The only secret randomness of the engine: noise on exact integer counts, private choice among exact integer scores.

Only the curator may import this room. It touches nothing but what it is handed, keeps nothing, and cannot be seeded.
``Noise`` is the private seam: tests hand the curator another one; OpenDPNoise is the one of every release.
RoundedGaussianNoise draws the continuous Gaussian, rounded: the law that Gaussian differential privacy is about.
"""

from dpsynth.noise.opendp import OpenDPNoise
from dpsynth.noise.protocol import Noise
from dpsynth.noise.rounded import RoundedGaussianNoise

__all__ = ["Noise", "OpenDPNoise", "RoundedGaussianNoise"]
