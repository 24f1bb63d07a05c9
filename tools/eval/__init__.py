"""Reports about what `cacheclip eval` measured."""
