"""The stages of a study: what each computes, and how it is kept in the folder."""
