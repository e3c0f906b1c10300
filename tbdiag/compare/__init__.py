"""Two or more sides of runs -> what differs, with uncertainty."""
