"""The one results table of a study: what was measured, how sure it is, what changed against float32.

`measure` builds it from every variant's answers, `table` reads it; report, gate, `choose` and `track` read
nothing else.
"""
