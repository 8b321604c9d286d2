"""What the market said: fetch, record, store, check, book, bars."""
