"""The shape of NTU skeleton text: fields a line, lines a body."""

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
VALUES_PER_BODY = 3 * JOINTS
MIN_BYTES_PER_BODY = 2 * BODY_FIELDS + len("25\n") + JOINTS * 2 * JOINT_FIELDS
"""The least text that a body record can take: one digit a field."""
