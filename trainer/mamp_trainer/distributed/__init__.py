"""The processes of one run, how they start, meet, compute together and end."""
