"""The ground floor, which every stage depends on: errors, files, words, params."""
