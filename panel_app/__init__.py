"""The dashboard of adtally: topic `results` -> feed -> store -> query -> page. It never imports Bytewax."""

from dataflows import terminal

terminal.set_up()
