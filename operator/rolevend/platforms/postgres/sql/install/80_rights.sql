-- Who may do what. Nothing here reaches a table of anybody else.

REVOKE ALL ON ALL ROUTINES IN SCHEMA rolevend FROM PUBLIC;

GRANT USAGE ON SCHEMA rolevend TO :"vendor", :"programmer";

-- Views and policies call these as the agent. Without USAGE on the schema it cannot call them by name.
GRANT EXECUTE ON FUNCTION rolevend.attr, rolevend.fence, rolevend.guarded, rolevend.live, rolevend.reads TO rv_connect;

-- As the agent, too. It is granted to nobody else: whoever may call it can hash values until one equals a masked one.
GRANT EXECUTE ON FUNCTION rolevend.hash TO rv_connect;

-- Until version 11 views read the salt with the rights of their owners.
REVOKE ALL ON rolevend.salt FROM rv_template;

-- The name of the key, not the key.
GRANT SELECT (domain) ON rolevend.salt TO :"vendor", :"programmer";

-- The vendor: vends, ends, looks. It holds no other right in this database.
GRANT EXECUTE ON FUNCTION
    rolevend.vend, rolevend.vend_many, rolevend.close, rolevend.close_many, rolevend.finish, rolevend.finish_many,
    rolevend.clear_way, rolevend.curb, rolevend.forget, rolevend.note_sweep,
    rolevend.confirm, rolevend.end_record, rolevend.report_ends, rolevend.take_token, rolevend.collect_tokens
    TO :"vendor";

GRANT EXECUTE ON PROCEDURE rolevend.sweep TO :"vendor";

GRANT SELECT ON
    rolevend.version, rolevend.taken, rolevend.profile, rolevend.template, rolevend.lease, rolevend.swept, rolevend.used_token
    TO :"vendor";

-- They judge functions, and change nothing: a process that only vends reads the same catalog as the programmer.
GRANT EXECUTE ON FUNCTION
    rolevend.no_tool, rolevend.no_tool_itself, rolevend.no_tools_in, rolevend.shared,
    rolevend.unbound, rolevend.unbound_in, rolevend.unbound_reached, rolevend.reached, rolevend.harmless_extensions
    TO :"vendor", :"programmer";

-- The programmer: makes templates and profiles, and looks for drift. It makes no role but through these functions, and has no
-- right of the roles that it makes.
GRANT SELECT ON rolevend.version, rolevend.profile, rolevend.template, rolevend.lease, rolevend.swept TO :"programmer";

GRANT EXECUTE ON FUNCTION
    rolevend.make_templates, rolevend.govern, rolevend.record_template, rolevend.drop_template,
    rolevend.make_profile, rolevend.hand_over, rolevend.record_profile, rolevend.drop_profile,
    rolevend.give_functions, rolevend.record_functions,
    rolevend.policies, rolevend.views, rolevend.findings, rolevend.drift, rolevend.attr, rolevend.fence, rolevend.guarded, rolevend.live, rolevend.reads
    TO :"programmer";
