"""Mail of programs on this machine: how ``seg-sendmail`` hands it in, whether the gateway runs or not.

A message is one file in ``var/maildrop``, complete and durable before it has its final name. Whoever may write into that folder may
hand in mail; who did is told by the file's owner, which nobody can forge. `drop_envelope` is what travels beside the content, `folder` how
a file gets there, `folder_claims` how the gateway takes one, and `pickup` when it does.

No message is lost or sent twice, whenever the machine stops: the gateway gives a file its MID by renaming it, stores the message,
removes the file, and only then lets it be delivered. A claimed file whose MID is in the queue has been stored already.
"""
