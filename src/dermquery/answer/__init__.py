"""What a person or a program gets to see of a search: one content, and the forms that it takes."""
