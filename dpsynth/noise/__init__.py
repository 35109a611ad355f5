"""The only secret randomness of the engine: noise on exact integer counts, private choice among exact integer scores.

Only the curator may import this room. It touches nothing but what it is handed, keeps nothing, and cannot be seeded.
``Noise`` is the private seam: tests hand the curator another one. RoundedGaussianNoise draws the continuous Gaussian,
rounded: the law that Gaussian differential privacy is about. OpenDPNoise is the vetted reference for zCDP,
LaplaceNoise the noise of pure epsilon-DP. ``noise_for`` says which of them an account takes. ``choice`` is the
exponential mechanism.
"""

from dpsynth.noise.kinds import Kind, noise_for, permitted
from dpsynth.noise.laplace import LaplaceNoise
from dpsynth.noise.opendp import OpenDPNoise
from dpsynth.noise.protocol import Noise
from dpsynth.noise.rounded import RoundedGaussianNoise

__all__ = ["Kind", "LaplaceNoise", "Noise", "OpenDPNoise", "RoundedGaussianNoise", "noise_for", "permitted"]
