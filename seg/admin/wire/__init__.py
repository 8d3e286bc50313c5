"""What goes over the admin API, as classes: requests, answers, and the table of all operations (`seg.admin.wire.operations`).

A request is made from what a client sent (`seg.admin.wire.route`), an answer becomes JSON by its fields, and the OpenAPI document is made from
both (`seg.admin.openapi`), so that none of them can say another thing than the code does.
"""
