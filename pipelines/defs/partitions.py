"""One partition for each recorded session; its key is the session's id."""

import dagster as dg

sessions = dg.DynamicPartitionsDefinition(name="sessions")
