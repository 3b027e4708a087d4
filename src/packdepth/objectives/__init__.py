"""What training minimises: a list of weighted terms, one file each."""
