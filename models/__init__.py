"""Neural networks: text VAE, latent diffusion transformer, teachers, language models."""
