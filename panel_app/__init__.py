"""The dashboard of adtally: topic `results` -> feed -> store -> query -> page. It never imports Bytewax."""

from dataflows.telemetry import terminal

terminal.set_up()
