"""Data only: the embedded model, priors and calibrations that the tools build."""

__all__: list[str] = []
