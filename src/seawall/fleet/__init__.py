"""The vocabulary: a fleet as its engineers describe it, and the readers that make one of files."""
