"""The model card: README.md of a package and its pictures, made from the graphs that are served.

    card            graphs, rows and figures -> files
    about           facts for the text that cannot be measured
    readme          the text
    markdown        pieces of Markdown
    dimensions      latent dimensions in order of information, and paths through latent space
    image_pictures  reconstructions, samples, traversals and interpolations of images
    table_pictures  the same for the columns of a table
    plane           the map of the latents
    weights         one bar for each dimension
    learning_curve  loss by steps
    charts          charts drawn by matplotlib
    sheet           labelled blocks of cells
    tiles           images as cells of one size
    grids           grids for the training log
    picture         pixels with a title, a caption and a file

Everything drawn but the learning curve comes from ONNX Runtime, so a card shows what a caller gets.
"""
