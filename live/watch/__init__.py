"""What other programs see of the accounts of a host: read from their files, never asked of a runner or a broker."""
