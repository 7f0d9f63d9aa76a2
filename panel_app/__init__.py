"""The dashboard: pages (HTML and Panel) on api (answers over HTTP) on server (how it is served). It never imports Bytewax."""

from dataflows.telemetry import terminal

terminal.set_up()
