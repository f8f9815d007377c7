"""Writers of the generated reference pages."""
