"""One screen per question; each is loaded when first asked for."""
