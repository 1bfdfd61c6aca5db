"""Pages for people: rendered with headers that let a browser load and run nothing else, and forms that only these pages can send."""
