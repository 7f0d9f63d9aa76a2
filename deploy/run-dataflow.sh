#!/bin/sh
# The dataflow of a container: makes the recovery store if there is none, then runs. Arguments go to bytewax.run, such as -w 2.
set -eu
recovery=${ADTALLY_RECOVERY_FOLDER:-/recovery}
set -- "$@" -r "$recovery" -s 5 -b 0
mkdir -p "$recovery"
if [ -z "$(find "$recovery" -name 'part-*.sqlite3' -print -quit)" ]; then
    # Four: an operator may later run up to four processes with a part each to write.
    python -m bytewax.recovery "$recovery" 4
fi
# exec, so that the container's SIGTERM reaches the dataflow and it stops with a snapshot.
exec python -m bytewax.run dataflows.marketing "$@"
