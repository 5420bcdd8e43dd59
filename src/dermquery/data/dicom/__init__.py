"""DICOM objects: header, pixels, attributes as facts of a case, and de-identification.

Only :mod:`.container` and :mod:`.plugin` may be imported without the libraries of ``dermquery[dicom]``.
"""
