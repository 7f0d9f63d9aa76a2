"""The read model: everything between the topics and an answer, without HTTP and Panel. Dashboard, alerts and exports use it.

From the top down: `service` answers; `files` (tables as bytes), `pipeline` (state of each part) and `attention` (what changed) build on
`views` (from a snapshot to figures); `feed` reads the topics into `store`; `measures` says what can be shown. Each imports only what is
below it.
"""
