"""`glee demo`: the whole path on rendered people, held against the truth."""
