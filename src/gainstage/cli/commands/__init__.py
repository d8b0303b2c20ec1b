"""The commands, one file each; a file's ``command`` is what ``gainstage <file name>`` runs."""
