"""The stories of a vendor, told against a fake of its published contract, and of a failover."""
