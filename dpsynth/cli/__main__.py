"""``python -m dpsynth.cli``."""

from dpsynth.cli.app import main

main()
