"""What a data set looks like in numbers: sizes and fill of its objects, their colors, and the purity of its edges.

Two sets are as hard for a color term as each other only where these numbers agree. `python -m core.appearance FOLDER`
measures any data set in COCO format; nothing is trained.
"""
