"""The model card: README.md of a package and its pictures, made from the graphs that are served.

    card            graphs, rows and figures -> files
    about           what the text needs and cannot be measured
    readme          the text
    markdown        pieces of Markdown
    dimensions      latent dimensions by what they tell, and paths through latents
    image_pictures  reconstructions, samples, traversals and interpolations of images
    table_pictures  the same for a table's columns
    plane           the map of the latents
    weights         a bar a dimension
    charts          what matplotlib draws
    sheet           labelled blocks of cells
    tiles           images as cells of one size
    grids           grids for a log that is watched while a model trains
    picture         pixels, their words and their file

What is drawn comes out of ONNX Runtime: a card shows what a caller gets.
"""
