"""What a study came to, byte for byte."""


def content(directory):
    """Every byte of what the study came to, by file."""
    kept = ("cells", "measures", "tables")
    paths = (path for kind in kept for path in (directory / kind).rglob("*") if path.is_file())
    derived = {"index.json", "summary.json"}  # these hold times
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths if path.name not in derived}
