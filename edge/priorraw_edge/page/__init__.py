"""The local web page of `priorraw-edge demo --serve`: `serve` starts it, `app` answers, `guard` refuses, `jobs` queues,
`worker` rebuilds in a process of its own, `static/` is what the browser runs.
"""
