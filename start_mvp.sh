#!/bin/sh
# The whole pipeline with one command, also where make is not installed: the same as "make demo".
set -eu
cd "$(dirname "$0")"
deploy/setup.sh run
exec .venv/bin/python -m adtally demo "$@"
