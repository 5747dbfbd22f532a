"""Who reaches what: the whole schema as every role sees it, against what is meant."""
