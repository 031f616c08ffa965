"""The parameter–function map: values, derivatives, kernel, charts, losses."""
