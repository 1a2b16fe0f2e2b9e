"""What happened in a world, and what is read off it: verdict, report."""
