"""Before any test imports JAX: one thread a process, as a study runs."""

import os

_FLAGS = "--xla_cpu_multi_thread_eigen=false"
if _FLAGS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")
