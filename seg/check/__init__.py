"""What would become of a message to a domain now, and why? Found out by the code that delivers, without a message.

In order of use: `dry_run` (what makes an attempt stop at a session that would do, host by host), `recorder` (its observer, which writes
down what it sees), `report` (what was seen, as frozen values), `outcome` (pass, fail or couldn't tell; pure), `advice` (what the operator
can do; pure), `document` (all of it as JSON), `checks` (the four questions that an operator can ask).
"""
