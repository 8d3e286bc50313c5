"""What is told to writers of plugins: the names of `seg.plugin`, and the plugins of docs/plugins.md."""
