"""How servers are asked and what their replies mean: one provider each, without I/O."""
