"""The content hook: filters judge, change, hold or refuse a message before its 250.

A filter is an `seg.filter.interfaces.IMessageFilter`. In order of use: `plugins` finds and makes those that the ``[[filter]]``
tables name (kind "milter" is `milter`, other kinds are third parties' Twisted plugins), `chain` asks them in order about a
`message`, each with one of `answers` to give, and `changes` makes the message that the next one sees (`header` knows
how fields are changed). ``docs/filters.md`` is the operator's page.
"""
