"""What an attacker would try, where it belongs to no single module."""
