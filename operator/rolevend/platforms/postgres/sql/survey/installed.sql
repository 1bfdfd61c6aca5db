-- The installation that is there.
SELECT version, vendor::text, programmer::text FROM rolevend.version
