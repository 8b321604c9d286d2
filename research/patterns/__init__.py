"""Pattern notes: what a language model says of a chart. They annotate, veto or shrink; they never originate."""
