"""What all provider simulators share: a real HTTP server that can misbehave on purpose, and scripts that say how."""

from photochanger.providers.simulator.control import Control
from photochanger.providers.simulator.script import ScenarioError, Script, Step, parse_steps, steps_in
from photochanger.providers.simulator.server import Answer, Request, SimulatorServer

__all__ = [
    "Answer",
    "Control",
    "Request",
    "ScenarioError",
    "Script",
    "SimulatorServer",
    "Step",
    "parse_steps",
    "steps_in",
]
