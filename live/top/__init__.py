"""The dashboard in the terminal: what the accounts of a host do, and the three words a person may say to one."""
