"""Whether what was seen live can be made again from the tape."""
