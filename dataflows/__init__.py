"""The Bytewax dataflows of adtally, and the contract that every part of it shares."""

from dataflows.telemetry import terminal

terminal.set_up()
