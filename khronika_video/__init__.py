"""The wheel's own package: the one name of the product that no other distribution has."""
