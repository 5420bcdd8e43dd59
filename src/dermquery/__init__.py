"""Case search for skin cancer: composed image-and-text queries over biopsy-confirmed dermoscopy cases."""

__version__ = "0.1.0"
