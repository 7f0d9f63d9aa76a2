#!/bin/sh
# The dataflow of a container: makes the recovery store if there is none, then runs. Arguments go to bytewax.run, such as -w 2.
# ADTALLY_PROCESSES=4 runs it in four processes, as one cluster; ADTALLY_MEMBERS=4 as one of four containers that are one.
# `run-dataflow live` and `run-dataflow ready` are for probes: they ask every process on its ADTALLY_METRICS_PORT, and end with 0 if all
# of them say yes.
set -eu
case ${1:-} in live | ready) exec python -m dataflows.telemetry.probe "$1z" --processes "${ADTALLY_PROCESSES:-1}" ;; esac
exec python -m deploy.processes.container "$@"
