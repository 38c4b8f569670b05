"""Noise laws and their parser, the camera model, and measuring the noise of images."""
