"""The words that cases are described in, as data: what sources write, and what it means here.

``sites.csv`` holds the places on the body with their codes of SNOMED CT and DICOM (context group 4029) and their paths
of the ISIC Archive; ``diagnosis_words.csv`` the words of each source for a diagnosis, with the path of the ISIC Archive
and the label of the shared data sets; ``diagnosis_codes.csv`` labels, ICD-10 and ICD-O-3 by path (from the literature;
have a coder check them before use); ``words.json`` the spellings of everything else.

A word without a counterpart stays as it is. Nothing is guessed: where a source's word covers places of the hierarchy
that have nothing in common ("akiec" of HAM10000), it has no path.
"""
