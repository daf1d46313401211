"""The second half of the way of an export: from the store to exactly one issue in each tracker."""

from bridge.dispatch.dispatcher import Dispatcher
from bridge.dispatch.tracking import Tracking

__all__ = ["Dispatcher", "Tracking"]
