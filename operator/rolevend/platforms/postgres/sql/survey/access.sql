-- Lines of pg_hba.conf that let somebody in without asking who it is; VALID UNTIL means nothing there.
SELECT line_number FROM pg_hba_file_rules WHERE auth_method = 'trust' AND type <> 'local' ORDER BY 1
