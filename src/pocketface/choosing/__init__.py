"""Which variant to take, and why: one rule, for `pocketface choose` and for MLflow's registry.

evidence = open_evidence(study, Path())                       # or Path("reports/full")
choice = choose(study, "expression", evidence.variants, Limits(max_size_mb=1, max_latency_ms=5))
print(answer(choice, evidence))
"""

from pocketface.choosing.answer import answer
from pocketface.choosing.evidence import Evidence, open_evidence
from pocketface.choosing.rule import Choice, choose, tasks

__all__ = ["Choice", "Evidence", "answer", "choose", "open_evidence", "tasks"]
