"""pyinfra operations: facts in, planning decides, commands out."""
