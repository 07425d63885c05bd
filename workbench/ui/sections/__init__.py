"""What pages are made of, one section a file."""
