//! Text to settings, and every fault with its place.
