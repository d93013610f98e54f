"""What happens to conversations: from the consumer's side, from LivePerson's side, and by an operator's hand."""
