"""The page on which the user confirms or refuses a request of an agent.

`links` seals its address, `login` logs the user in at the issuer, `service` reads and answers the request, `view` prepares what the page
shows, `page` renders it, and `routes` are the calls.
"""
