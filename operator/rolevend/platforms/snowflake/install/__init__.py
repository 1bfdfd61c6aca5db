"""What installs rolevend in an account: the script, and what it writes down there."""
