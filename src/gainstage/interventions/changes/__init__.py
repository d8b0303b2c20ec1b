"""The interventions, one file each: what is changed in the running script, and how."""
