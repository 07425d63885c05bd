"""Which property, measured on the autoencoder alone, foretells generation?"""
