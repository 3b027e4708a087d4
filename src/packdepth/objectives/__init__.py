"""What training minimizes: a list of weighted terms, one file each."""
