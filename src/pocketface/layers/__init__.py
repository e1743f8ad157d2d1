"""What architectures are made of: backbones, and the heads that answer."""
