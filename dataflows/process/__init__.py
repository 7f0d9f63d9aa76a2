"""The process around a running flow: start, clean stop, the other processes of its cluster, the last lines when it ends."""
