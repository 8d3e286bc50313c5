"""What operators, their scripts and their files rely on, as it stands: a change of it shows as a difference in a text file."""
