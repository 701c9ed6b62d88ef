"""What a notebook needs: `glee.open` and `glee.plot`."""
