"""Slots: what is kept, checked and changed of them."""
