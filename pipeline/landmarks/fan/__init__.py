"""The `fan` detector: Bulat and Tzimiropoulos' FAN, through the package face-alignment.

Its weights are files of the user's; nothing here imports torch or the package before it is loaded.
"""
