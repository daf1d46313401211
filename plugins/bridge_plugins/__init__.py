"""The tracker types that come with the bridge, one module each. They use what any third party has."""
