"""DICOM objects about a query's own image: what somebody saw in it, and where the model looked.

Only about that image: a list of hits crosses patients, and an object of DICOM belongs to one.
"""
