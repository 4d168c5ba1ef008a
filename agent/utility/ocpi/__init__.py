"""OCPI 2.2.1 in the role of a charge point operator (CPO).

`objects` are the documents, `front` authenticates and wraps, `app` routes. `site` and `sessions`
turn the fleet into locations and sessions, `profiles` a partner's profile into limits, and
`profile_desk` keeps those in force. `registry` knows the partners, `caller` calls them.
"""
