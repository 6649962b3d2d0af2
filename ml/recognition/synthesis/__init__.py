"""Synthesis: captchas drawn from scratch, so that a reader can learn before it has seen one label.

`generator.draw(seed)` gives one image with its text, `stream.blocks(...)` many, on several processes.
Nothing here opens a network or reads anything but the fonts that are installed on this machine.
"""
