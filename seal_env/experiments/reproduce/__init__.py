"""The paper's tables, measured again on one machine."""
