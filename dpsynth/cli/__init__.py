"""The command line: parse, call, print. It computes nothing; the only room that prints."""

from dpsynth.cli.app import main

__all__ = ["main"]
