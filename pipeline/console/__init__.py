"""What operators see: bounded reads, each served by an index, through the operators' login."""
