"""Lists in settings: values between commas."""


def split_tuple(value: object) -> object:
    """Split text at its commas; leave anything else to the validation."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def split_set(value: object) -> object:
    """Split text at its commas into lower-case values; leave ``any`` as it is."""
    if value == "any" or not isinstance(value, str):
        return value
    return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
