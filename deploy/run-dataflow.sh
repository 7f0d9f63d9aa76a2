#!/bin/sh
# The dataflow of a container: makes the recovery store if there is none, then runs. Arguments go to bytewax.run, such as -w 2.
# ADTALLY_PROCESSES=4 runs it in four processes, as one cluster. `run-dataflow live` and `run-dataflow ready` are for probes: they ask
# every process on its ADTALLY_METRICS_PORT, and end with 0 if all of them say yes.
set -eu
recovery=${ADTALLY_RECOVERY_FOLDER:-/recovery}
processes=${ADTALLY_PROCESSES:-1}
case ${1:-} in live | ready) exec python -m dataflows.telemetry.probe "$1z" --processes "$processes" ;; esac
if [ "$processes" != 1 ]; then
    # It makes the store too, passes signals on, and ends all when one dies: the container is then restarted as a whole.
    exec python -m deploy.cluster "$processes" --run /tmp/cluster -r "$recovery" "$@"
fi
set -- "$@" -r "$recovery" -s 5 -b 0
mkdir -p "$recovery"
if [ -z "$(find "$recovery" -name 'part-*.sqlite3' -print -quit)" ]; then
    # Eight: as many processes as there are shards of windows may later have a part each to write.
    python -m bytewax.recovery "$recovery" 8
fi
# exec, so that the container's SIGTERM reaches the dataflow and it stops with a snapshot.
exec python -m bytewax.run dataflows.marketing "$@"
