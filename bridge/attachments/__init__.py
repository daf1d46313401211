"""Attachments: fetched from test IO to the spool, guarded, and given to trackers as files."""

from bridge.attachments.download import Downloader
from bridge.attachments.guard import Guard, Resolve, is_public, resolve
from bridge.errors import AttachmentError

__all__ = ["AttachmentError", "Downloader", "Guard", "Resolve", "is_public", "resolve"]
