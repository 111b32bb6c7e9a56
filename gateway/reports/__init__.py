"""Reports of a shift, a day, a month: one set of figures, said in two languages, as a page and as PDF."""
