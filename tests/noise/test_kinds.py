"""Which noise an account takes: each measure only laws that have a proved cost in it."""

import pytest

from dpsynth.errors import ConfigurationError
from dpsynth.noise import LaplaceNoise, Noise, OpenDPNoise, RoundedGaussianNoise, noise_for, permitted
from dpsynth.privacy import MEASURES, Measure


@pytest.mark.parametrize(
    ("measure", "kind", "made"),
    [
        ("gdp", "exact", RoundedGaussianNoise),
        ("zcdp", "exact", RoundedGaussianNoise),
        ("zcdp", "opendp", OpenDPNoise),
        ("pure", "exact", LaplaceNoise),
    ],
)
def test_the_noise_of_a_measure(measure: Measure, kind: str, made: type[Noise]) -> None:
    noise = noise_for(measure, kind)
    assert type(noise) is made
    assert permitted(noise, measure) is noise
    if kind == "exact":
        assert type(noise_for(measure)) is made


@pytest.mark.parametrize("measure", ["gdp", "pure"])
def test_opendp_is_for_zcdp_alone(measure: Measure) -> None:
    with pytest.raises(ConfigurationError, match=r"discrete_gaussian is not charged .* needs an account .*\"zcdp\""):
        noise_for(measure, "opendp")


@pytest.mark.parametrize(
    ("made", "measures"), [(RoundedGaussianNoise, {"gdp", "zcdp"}), (OpenDPNoise, {"zcdp"}), (LaplaceNoise, {"pure"})]
)
def test_a_law_without_a_cost_is_refused(made: type[Noise], measures: set[str]) -> None:
    for measure in set(MEASURES) - measures:
        with pytest.raises(ConfigurationError, match="its guarantee is not of that kind"):
            permitted(made(), measure)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="noise 'laplace': must be 'exact' or 'opendp'"):
        noise_for("gdp", "laplace")
    with pytest.raises(ConfigurationError, match="measure 'renyi'"):
        noise_for("renyi")  # type: ignore[arg-type]
