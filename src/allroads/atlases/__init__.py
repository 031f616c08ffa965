"""Programs as nodes, roads as edges: the atlas of a parameter–function map."""
