"""The access ledger: joins statements of a platform's log to the vended roles that ran them, and to the people behind the roles.

Pure but for `log_files` and `position_file`, which read logs and keep the position in them. It reads no cluster and no database.
"""
