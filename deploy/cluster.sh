#!/bin/sh
# Starts N processes of this machine as one cluster: deploy/cluster.sh 4 [-r FOLDER] [flags of bytewax.run]; Ctrl-C ends all of them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python="$root/.venv/bin/python"
[ -x "$python" ] || python=python
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m deploy.processes.cluster "$@"
