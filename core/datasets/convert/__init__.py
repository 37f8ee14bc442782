"""From the labels that people have to the COCO files that this suite reads: `python -m core.datasets.convert`.

`yolo`, `voc_xml`, `labelme`, `cvat`, `label_studio` and `coco` read one format each: `read(ImageFolder)` returns a
`LabeledSet`. `formats` tells which format a folder has, `splits` decides which images validate, `writing` makes the
data set.
"""
