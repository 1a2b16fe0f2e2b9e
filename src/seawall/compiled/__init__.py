"""What compiled code of several rooms shares: decorators, rows of arrays by address, and where the result is kept."""
