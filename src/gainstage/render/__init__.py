"""What people look at: text for the terminal, one self-contained page for everything else."""
