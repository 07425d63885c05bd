"""Torch models: the text VAE, the latent diffusion transformer, its flow, samplers and teachers.

Conventions: flow time `t` runs from 0 (noise) to 1 (data); `z` is the latent as the flow sees it;
`mask` is True at real tokens. Nothing here reads files of a run or seeds a global generator.
"""
