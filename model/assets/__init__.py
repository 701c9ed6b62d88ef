"""Data only: the expression embedding that `--init embedded` starts from."""

__all__: list[str] = []
