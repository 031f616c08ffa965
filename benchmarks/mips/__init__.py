"""The 62 tasks of the MIPS benchmark: networks trained, programs extracted, judged on fresh inputs."""
