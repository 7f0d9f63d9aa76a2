"""Events for adtally: synthetic ones, and real files replayed into the contract. It knows no Bytewax and no Panel."""

from dataflows.telemetry import terminal

terminal.set_up()
