"""The one look of every report: `page` makes the HTML file, `plots` the figures in it; `verification`, `evaluation` and
`benchmark` say what stands in theirs, as `priorraw_edge.demo.report` does.
"""
