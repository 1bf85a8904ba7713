"""What others do, in as few lines as it takes, for the bench to compare with."""
